"""A request and its answer, whatever server carries them."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from heterosis.terms.errors import InvalidInputError

T = TypeVar("T")
Buffer = bytes | memoryview
Body = Sequence[Buffer] | AsyncIterator[Buffer]
"""The parts of a body, to be sent one after the other without being joined; or parts that come bit by bit."""

JSON = "application/json"


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. ``path`` is as it was sent, percent-encoded; names of headers are in lower case.

    The body begins so many bytes after the ``begin`` of the memory that was allocated for it.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: Buffer = b""
    begin: int = 0


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. Without a stream in ``body``, the server says its length."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: Body = ()


def parse_json(body: Buffer, type_: type[T]) -> T:
    """Read a small body; without one, a value of its fields' defaults. Raise InvalidInputError where it is not so."""
    try:
        return msgspec.json.decode(body or b"{}", type=type_)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"the JSON is not what is taken here: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None


class Pending:
    """An answer that will be handed over by a call; many at once cost less so than a task for each."""

    __slots__ = ()

    answered: "Answered"
    """What it is handed to, once, unless it is cancelled before; whoever is given this sets it at once."""

    def cancel(self) -> object:
        """Let nobody wait for it any more."""
        raise NotImplementedError

    def again(self, request: HttpRequest) -> "Again | None":  # noqa: ARG002 - what subclasses are given
        """What answers other requests with the head of the one that this is the answer to, sooner than the handler."""
        return None


Again = Callable[[memoryview, int], "HttpResponse | Pending | None"]
"""Answers a request whose head is known, by its body and where that begins; None: the handler shall."""


class Answered(Protocol):
    """Takes an answer."""

    def __call__(self, response: HttpResponse, *, body_is_done: bool = False) -> object:
        """Take it; ``body_is_done`` where surely nobody looks at the body of the request any more."""
        ...


Answer = HttpResponse | Pending | Coroutine[Any, Any, HttpResponse]
Handler = Callable[[HttpRequest], Answer]
"""What a server below is given: it answers every request, errors included, and is cancelled when the client goes."""


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Answer with JSON."""
    return HttpResponse(
        status=status, headers={"content-type": JSON, **(headers or {})}, body=[msgspec.json.encode(content)]
    )
