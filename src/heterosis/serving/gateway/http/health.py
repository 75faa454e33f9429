"""Whether the server and its models take requests."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route


class Health:
    """Answers with a status alone; an error says why not."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return [
            Route("GET", "/v2/health/live", self.live, Operation("Is the server alive?", media=None)),
            Route(
                "GET", "/v2/health/ready", self.ready, Operation("Does it take requests?", media=None, errors=(503,))
            ),
            *of_model(
                "GET", "/ready", self.model_ready, Operation("Does it take requests?", media=None, errors=(503,))
            ),
        ]

    async def live(self, _: HttpRequest) -> HttpResponse:
        """Whether the process answers."""
        return HttpResponse()

    async def ready(self, _: HttpRequest) -> HttpResponse:
        """Whether requests can be served."""
        self._gateway.check_ready()
        return HttpResponse()

    async def model_ready(self, _: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Whether the model can be served."""
        self._gateway.check_model_ready(model, version)
        return HttpResponse()
