"""What Prometheus reads."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route


class Scrape:
    """Answers Prometheus."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._metrics = gateway.metrics

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return [
            Route("GET", "/metrics", self.scrape, Operation("Metrics for Prometheus", media=self._metrics.media_type))
        ]

    async def scrape(self, _: HttpRequest) -> HttpResponse:
        """Report requests, latency, queues, instances and joules in Prometheus' text format."""
        return HttpResponse(headers={"content-type": self._metrics.media_type}, body=[await self._metrics.exposition()])
