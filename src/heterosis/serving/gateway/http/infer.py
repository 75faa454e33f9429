"""Inference over HTTP, with tensors as JSON or in binary form."""

import time

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route
from heterosis.serving.http.compression import unfolded
from heterosis.serving.protocol import HEADER_LENGTH, decode_request, encode_response
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER, relative_timeout_ms
from heterosis.serving.protocol.wire import WireRequest, WireResponse

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

    async def infer(self, request: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Run a model."""
        gateway = self._gateway
        started = time.perf_counter()
        try:
            found = gateway.model(model, version)
            body = unfolded(request.body, request.headers, gateway.max_body_bytes)
            asked = decode_request(body, request.headers.get(_HEADER_LENGTH), gateway.shared)
            timeout_ms = relative_timeout_ms(asked.parameters, request.headers.get(_TIMEOUT))
            answer = await gateway.infer(found, asked, timeout_ms)
        finally:
            gateway.metrics.answered(time.perf_counter() - started)
        header_length, parts = encode_response(answer, asked, gateway.shared)
        if header_length is None:
            return HttpResponse(headers={"content-type": "application/json"}, body=parts)
        headers = {"content-type": "application/octet-stream", _HEADER_LENGTH: str(header_length)}
        return HttpResponse(headers=headers, body=parts)
