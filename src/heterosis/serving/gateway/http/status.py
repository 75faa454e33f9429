"""What the server does at this moment."""

import msgspec

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route
from heterosis.serving.http.messages import JSON
from heterosis.serving.status import Status as Body
from heterosis.terms.errors import NotFoundError


class Status:
    """Answers `heterosis status`."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return [
            Route(
                "GET",
                "/status",
                self.status,
                Operation("What runs where, load, joules, decisions", answer=Body, errors=(404,)),
            )
        ]

    async def status(self, _: HttpRequest) -> HttpResponse:
        """Say what runs where, load against capacity, attainment, joules, and the last decisions with reasons."""
        board = self._gateway.board
        if board is None:
            raise NotFoundError("this server tells no status")
        return HttpResponse(headers={"content-type": JSON}, body=[msgspec.json.encode(await board.read())])
