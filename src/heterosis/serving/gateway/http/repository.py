"""What models there are, and loading and unloading them."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route, json_response, parse_json
from heterosis.serving.protocol.repository import ControlRequest, IndexEntry, IndexRequest


class Repository:
    """Lists, loads and unloads models."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        index = Operation("Every model there is", body=IndexRequest, answer=list[IndexEntry])
        load = Operation("Load it, or load it anew", body=ControlRequest, media=None, errors=(503,))
        unload = Operation("Unload it", body=ControlRequest, media=None, errors=(503,))
        return [
            Route("POST", "/v2/repository/index", self.index, index),
            Route("POST", "/v2/repository/models/{model}/load", self.load, load),
            Route("POST", "/v2/repository/models/{model}/unload", self.unload, unload),
        ]

    async def index(self, request: HttpRequest) -> HttpResponse:
        """List models."""
        return json_response(self._gateway.index(ready=parse_json(request.body, IndexRequest).ready))

    async def load(self, request: HttpRequest, model: str) -> HttpResponse:
        """Load a model; answer when it is ready."""
        await self._gateway.load(model, parse_json(request.body, ControlRequest).parameters)
        return HttpResponse()

    async def unload(self, request: HttpRequest, model: str) -> HttpResponse:
        """Unload a model; answer when it is gone."""
        parse_json(request.body, ControlRequest)
        await self._gateway.unload(model)
        return HttpResponse()
