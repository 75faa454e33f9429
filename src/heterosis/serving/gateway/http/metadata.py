"""What the server and its models are."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Route, json_response


class Metadata:
    """Describes the server and its models."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return [Route("GET", "/v2", self.server), *of_model("GET", "", self.model)]

    async def server(self, _: HttpRequest) -> HttpResponse:
        """Name the server and the extensions that it speaks."""
        return json_response(self._gateway.server_metadata())

    async def model(self, _: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Describe a model's inputs and outputs."""
        return json_response(self._gateway.model_metadata(model, version))
