"""Inference over HTTP, with tensors as JSON or in binary form."""

import functools
import time
from collections.abc import Mapping, Sequence

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.gateway.shortcut import Passed, shortcut_for
from heterosis.serving.http import Answer, HttpRequest, HttpResponse, Operation, Pending, Route
from heterosis.serving.http.compression import unfolded
from heterosis.serving.http.failures import failure
from heterosis.serving.http.messages import Answered
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
                return _Passed(gateway, found, shortcut, shortcut.frames(raw, body, request.begin), timeout_ms, began)
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

    __slots__ = ("answered",)

    answered: Answered

    def write(self, response: InferResponse, request: InferRequest) -> Sequence[Buffer]:
        """Write an answer in parts."""
        return encode_response(response, request)[1]

    def end(self, answer: Sequence[Buffer] | Exception) -> None:
        """Hand the answer over."""
        self._gateway.metrics.answered(time.monotonic() - self._since)
        if isinstance(answer, Exception):
            self.answered(failure(answer))
        else:
            # The worker has answered, and there are no arrays of the body here.
            self.answered(HttpResponse(headers=_headers(len(answer[0])), body=answer), body_is_done=True)


@functools.lru_cache(256)
def _headers(header_length: int) -> Mapping[str, str]:
    """Of an answer with binary tensors, whose JSON is so long."""
    return {"content-type": "application/octet-stream", _HEADER_LENGTH: str(header_length)}
