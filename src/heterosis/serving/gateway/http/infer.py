"""Inference over HTTP, with tensors as JSON or in binary form."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Route
from heterosis.serving.protocol import HEADER_LENGTH, decode_request, encode_response
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER

_HEADER_LENGTH, _TIMEOUT = HEADER_LENGTH.lower(), TIMEOUT_HEADER.lower()


class Infer:
    """Runs a model on the tensors of a request's body."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return of_model("POST", "/infer", self.infer)

    async def infer(self, request: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Run a model."""
        with self._gateway.metrics.request():
            asked = decode_request(request.body, request.headers.get(_HEADER_LENGTH))
            answer = await self._gateway.infer(model, version, asked, request.headers.get(_TIMEOUT))
        header_length, parts = encode_response(answer, asked)
        if header_length is None:
            return HttpResponse(headers={"content-type": "application/json"}, body=parts)
        headers = {"content-type": "application/octet-stream", _HEADER_LENGTH: str(header_length)}
        return HttpResponse(headers=headers, body=parts)
