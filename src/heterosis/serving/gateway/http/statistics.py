"""What the models have done so far."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route, json_response
from heterosis.serving.protocol.statistics import StatisticsAnswer


class Statistics:
    """Counts requests and where their time went."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        operation = Operation("Requests so far, and where their time went", answer=StatisticsAnswer)
        return [
            Route("GET", "/v2/models/stats", self.statistics, operation),
            *of_model("GET", "/stats", self.statistics, operation),
        ]

    async def statistics(self, _: HttpRequest, model: str = "", version: str = "") -> HttpResponse:
        """Tell of all models, or of one."""
        return json_response(StatisticsAnswer(model_stats=tuple(self._gateway.statistics(model, version))))
