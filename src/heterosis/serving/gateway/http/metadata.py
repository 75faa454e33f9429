"""What the server and its models are."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route, json_response
from heterosis.serving.protocol import ModelMetadata, ServerMetadata
from heterosis.serving.protocol.configuration import ModelConfig


class Metadata:
    """Describes the server and its models."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        about = Operation("Its inputs and outputs", answer=ModelMetadata, errors=(503,))
        config = Operation("How it is served", answer=ModelConfig, errors=(503,))
        return [
            Route("GET", "/v2", self.server, Operation("The server's name and extensions", answer=ServerMetadata)),
            *of_model("GET", "", self.model, about),
            *of_model("GET", "/config", self.config, config),
        ]

    async def server(self, _: HttpRequest) -> HttpResponse:
        """Name the server and the extensions that it speaks."""
        return json_response(self._gateway.server_metadata())

    async def model(self, _: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Describe a model's inputs and outputs."""
        return json_response(self._gateway.model_metadata(model, version))

    async def config(self, _: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Say how a model is served."""
        return json_response(self._gateway.model_config(model, version))
