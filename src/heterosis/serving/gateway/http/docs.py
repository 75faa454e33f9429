"""The documentation of everything that is answered over HTTP, itself included."""

from collections.abc import Iterable
from typing import Any

import msgspec

from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route
from heterosis.serving.http.openapi import document


class Docs:
    """Answers with an OpenAPI document."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Describe these routes."""
        own = Route("GET", "/v2/docs", self.docs, Operation("This document", answer=dict[str, Any]))
        self._routes = [own]
        self._body = msgspec.json.encode(document([*routes, own]))

    def routes(self) -> list[Route]:
        """List what is answered here."""
        return self._routes

    async def docs(self, _: HttpRequest) -> HttpResponse:
        """Describe all routes."""
        return HttpResponse(headers={"content-type": "application/json"}, body=[self._body])
