"""A table of routes: which handler answers which method and path."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import unquote

import msgspec

from heterosis.serving.http.failures import failure
from heterosis.serving.http.messages import HttpRequest, HttpResponse, json_response
from heterosis.serving.protocol.messages import ErrorBody
from heterosis.terms.errors import NotFoundError


class Route(msgspec.Struct, frozen=True):
    """One operation. ``{NAME}`` as a segment of the path takes any segment, and the handler gets it as an argument."""

    method: str
    path: str
    handler: Callable[..., Awaitable[HttpResponse]]


class RouteTable:
    """Finds the route of a request and runs its handler; what goes wrong becomes an answer here."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Lay out the routes as a tree of segments."""
        self.routes = tuple(routes)
        self._root = _Node()
        for route in routes:
            node = self._root
            for segment in _segments(route.path):
                if segment.startswith("{"):
                    node.any = node.any or _Node(segment[1:-1])
                    node = node.any
                else:
                    node = node.fixed.setdefault(segment, _Node())
            node.routes[route.method] = route

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        try:
            node, arguments = self._find(request.path)
            route = node.routes.get("GET" if request.method == "HEAD" else request.method)
            if route is None:
                allowed = ", ".join(sorted(node.routes))
                message = f"{request.method} {request.path}: Method Not Allowed; it takes {allowed}"
                return json_response(ErrorBody(message), 405, {"allow": allowed})
            return await route.handler(request, **arguments)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets an answer
            return failure(error)

    def _find(self, path: str) -> tuple["_Node", Mapping[str, str]]:
        node = self._root
        arguments: dict[str, str] = {}
        for segment in _segments(path):
            text = unquote(segment)
            found = node.fixed.get(text)
            if found is None:
                found = node.any
                if found is None or not text:
                    break
                arguments[found.name] = text
            node = found
        else:
            if node.routes:
                return node, arguments
        raise NotFoundError(f"{path}: Not Found; /v2/docs lists what there is")


class _Node:
    """A place in the tree of paths."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, Route] = {}


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")
