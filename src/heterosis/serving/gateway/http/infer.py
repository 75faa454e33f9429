"""Inference over HTTP, with tensors as JSON or in binary form."""

import functools
import time
from collections.abc import Mapping, Sequence

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.gateway.shortcut import Passed, Shortcut, passes, shortcut_for
from heterosis.serving.http import Answer, HttpRequest, HttpResponse, Operation, Pending, Route
from heterosis.serving.http.compression import unfolded
from heterosis.serving.http.failures import failure
from heterosis.serving.http.messages import Again, Answered
from heterosis.serving.models import Model
from heterosis.serving.protocol import HEADER_LENGTH, Buffer, InferRequest, InferResponse, encode_response
from heterosis.serving.protocol.asked import Asked, Raw
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER, relative_timeout_ms
from heterosis.serving.protocol.wire import WireRequest, WireResponse, read_request, with_tensors

_HEADER_LENGTH, _TIMEOUT = HEADER_LENGTH.lower(), TIMEOUT_HEADER.lower()


class Infer:
    """Runs a model on the tensors of a request's body."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        operation = Operation(
            "Run it",
            body=WireRequest,
            answer=WireResponse,
            binary=True,
            headers=(TIMEOUT_HEADER,),
            errors=(413, 429, 500, 503, 504),
        )
        return of_model("POST", "/infer", self.infer, operation)

    def infer(self, request: HttpRequest, model: str, version: str = "") -> Answer:
        """Run a model."""
        gateway = self._gateway
        began = time.monotonic()
        try:
            found = gateway.model(model, version)
            body = unfolded(request.body, request.headers, gateway.max_body_bytes)
            asked, raw = read_request(body, request.headers.get(_HEADER_LENGTH))
            said = request.headers.get(_TIMEOUT)
            shortcut = shortcut_for(found, asked, raw, with_tensors)
            if shortcut is not None:
                timeout_ms = shortcut.timeout_ms if said is None else relative_timeout_ms(asked.parameters, said)
                frames = shortcut.frames_in(memoryview(body), request.begin)
                passed = _Passed(gateway, found, shortcut, frames, timeout_ms, began)
                passed.named = model, version
                return passed
        except BaseException:
            gateway.metrics.answered(time.monotonic() - began)
            raise
        return self._infer(found, asked, raw, said, began)

    async def _infer(self, model: Model, asked: Asked, raw: Raw, said: str | None, began: float) -> HttpResponse:
        gateway = self._gateway
        try:
            request = with_tensors(asked, raw, gateway.shared)
            answer = await gateway.infer(model, request, relative_timeout_ms(asked.parameters, said))
        finally:
            gateway.metrics.answered(time.monotonic() - began)
        header_length, parts = encode_response(answer, request, gateway.shared)
        if header_length is None:
            return HttpResponse(headers={"content-type": "application/json"}, body=parts)
        return HttpResponse(headers=_headers(header_length), body=parts)


class _Passed(Passed, Pending):
    """A request whose tensors are passed on as they came."""

    __slots__ = ("answered", "named")

    answered: Answered
    named: tuple[str, str]
    """Name and version of the model, as they were asked for."""

    def again(self, request: HttpRequest) -> Again | None:
        """See `Pending`."""
        if "content-encoding" in request.headers:
            return None
        return _Again(self._gateway, self._model, self._shortcut, self.named, request)

    def write(self, response: InferResponse, request: InferRequest) -> Sequence[Buffer]:
        """Write an answer in parts."""
        return encode_response(response, request)[1]

    def end(self, answer: Sequence[Buffer] | Exception, now: float) -> None:
        """Hand the answer over."""
        self._gateway.metrics.answered(now - self._since)
        if isinstance(answer, Exception):
            self.answered(failure(answer))
        else:
            # The worker has answered, and there are no arrays of the body here.
            self.answered(HttpResponse(headers=_headers(len(answer[0])), body=answer), body_is_done=True)


class _Again:
    """Answers requests that are like one that went the short way, down to their heads."""

    def __init__(
        self, gateway: Gateway, model: Model, shortcut: Shortcut, named: tuple[str, str], request: HttpRequest
    ) -> None:
        self._gateway, self._model, self._shortcut, self._named = gateway, model, shortcut, named
        self._timeout_ms = relative_timeout_ms(shortcut.asked.parameters, request.headers.get(_TIMEOUT))
        self._json = bytes(request.body[: len(request.body) - shortcut.length])

    def __call__(self, body: memoryview, begin: int) -> HttpResponse | Pending | None:
        gateway, model, json = self._gateway, self._model, self._json
        began = time.monotonic()
        if gateway.draining or not passes(model) or body[: len(json)] != json:
            return None
        try:
            if gateway.repository.only(*self._named) is not model:
                return None
            frames = self._shortcut.frames_in(body, begin)
            return _Passed(gateway, model, self._shortcut, frames, self._timeout_ms, began)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets an answer
            gateway.metrics.answered(time.monotonic() - began)
            return failure(error)


@functools.lru_cache(256)
def _headers(header_length: int) -> Mapping[str, str]:
    """Of an answer with binary tensors, whose JSON is so long."""
    return {"content-type": "application/octet-stream", _HEADER_LENGTH: str(header_length)}
