"""A table of routes: which handler answers which method and path."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from heterosis.serving.http.failures import failure
from heterosis.serving.http.messages import JSON, Answer, HttpRequest, HttpResponse, Pending, json_response
from heterosis.serving.protocol.messages import ErrorBody
from heterosis.terms.errors import NotFoundError


class Operation(msgspec.Struct, frozen=True):
    """What a route is for, as its documentation says (`heterosis.serving.http.openapi`)."""

    summary: str
    body: Any = None
    """Type of the JSON that it takes; a body may be left out where every field of it may."""
    answer: Any = None
    """Type of the JSON that it answers with."""
    media: str | None = JSON
    """Media type of a good answer; None for one without content."""
    binary: bool = False
    """Whether the JSON, both ways, may be followed by the binary data of tensors."""
    headers: tuple[str, ...] = ()
    """Headers that it reads."""
    errors: tuple[int, ...] = ()
    """Statuses of its errors, besides those that any request may have."""


class Route(msgspec.Struct, frozen=True):
    """One operation. ``{NAME}`` as a segment of the path takes any segment, and the handler gets it as an argument."""

    method: str
    path: str
    handler: Callable[..., Answer]
    operation: Operation


REMEMBERED, REMEMBERED_LENGTH = 1024, 256
"""How many paths, up to how long, are looked up but once."""


class RouteTable:
    """Finds the route of a request and runs its handler; what goes wrong becomes an answer here."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Lay out the routes as a tree of segments."""
        self.routes = tuple(routes)
        self._root = _Node()
        self._known: dict[str, tuple[_Node, Mapping[str, str]]] = {}
        """What paths led to before."""
        for route in routes:
            node = self._root
            for segment in _segments(route.path):
                if segment.startswith("{"):
                    node.any = node.any or _Node(segment[1:-1])
                    node = node.any
                else:
                    node = node.fixed.setdefault(segment, _Node())
            node.routes[route.method] = route

    def __call__(self, request: HttpRequest) -> Answer:
        """Answer a request."""
        try:
            node, arguments = self._known.get(request.path) or self._find(request.path)
            route = node.routes.get("GET" if request.method == "HEAD" else request.method)
            if route is None:
                allowed = ", ".join(sorted(node.routes))
                message = f"{request.method} {request.path}: Method Not Allowed; it takes {allowed}"
                return json_response(ErrorBody(message), 405, {"allow": allowed})
            answer = route.handler(request, **arguments)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets an answer
            return failure(error)
        return answer if isinstance(answer, HttpResponse | Pending) else _guarded(answer)

    def _find(self, path: str) -> tuple["_Node", Mapping[str, str]]:
        arguments: dict[str, str] = {}
        found = _descend(self._root, [unquote(segment) for segment in _segments(path)], 0, arguments)
        if found is None:
            raise NotFoundError(f"{path}: Not Found; /v2/docs lists what there is")
        if len(path) <= REMEMBERED_LENGTH and len(self._known) < REMEMBERED:
            self._known[path] = found, arguments
        return found, arguments


async def _guarded(answer: Coroutine[Any, Any, HttpResponse]) -> HttpResponse:
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - as above
        return failure(error)


class _Node:
    """A place in the tree of paths."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, Route] = {}


def _descend(node: _Node, segments: Sequence[str], depth: int, arguments: dict[str, str]) -> _Node | None:
    """Find the node with routes that the segments lead to; a fixed name goes before one that takes any."""
    if depth == len(segments):
        return node if node.routes else None
    segment = segments[depth]
    fixed = node.fixed.get(segment)
    found = None if fixed is None else _descend(fixed, segments, depth + 1, arguments)
    if found is None and node.any is not None and segment:
        found = _descend(node.any, segments, depth + 1, arguments)
        if found is not None:
            arguments[node.any.name] = segment
    return found


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")
