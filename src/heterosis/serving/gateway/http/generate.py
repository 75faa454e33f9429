"""Inference as plain JSON over HTTP: one answer, or a stream of them as server-sent events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.paths import of_model
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route, json_response, parse_json
from heterosis.serving.http.failures import failure
from heterosis.serving.models import Model
from heterosis.serving.protocol import InferRequest, InferResponse
from heterosis.serving.protocol.generate import fields_of, request_of
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER, relative_timeout_ms

EVENTS = "text/event-stream"
MAX_WAITING = 16
"""Most answers that wait for the client to read them; then the pipeline waits, too."""


class Generate:
    """Runs a model on the fields of a JSON object."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """List what is answered here."""
        errors = (429, 500, 503, 504)
        one = Operation(
            "Run it, inputs and outputs as fields",
            body=dict[str, Any],
            answer=dict[str, Any],
            headers=(TIMEOUT_HEADER,),
            errors=errors,
        )
        many = Operation(
            "Run it, and get each result as it comes",
            body=dict[str, Any],
            media=EVENTS,
            headers=(TIMEOUT_HEADER,),
            errors=errors,
        )
        return [
            *of_model("POST", "/generate", self.generate, one),
            *of_model("POST", "/generate_stream", self.generate_stream, many),
        ]

    async def generate(self, request: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Run a model that has one result for a request."""
        began = time.perf_counter()
        try:
            found, asked, timeout_ms = await self._asked(request, model, version)
            return json_response(fields_of(await self._gateway.infer(found, asked, timeout_ms)))
        finally:
            self._gateway.metrics.answered(time.perf_counter() - began)

    async def generate_stream(self, request: HttpRequest, model: str, version: str = "") -> HttpResponse:
        """Run a model; an error before the first result has a status of its own, a later one is the last event."""
        found, asked, timeout_ms = await self._asked(request, model, version)
        events = self._events(found, asked, timeout_ms)
        first = await anext(events, b"")
        return HttpResponse(
            headers={"content-type": EVENTS, "cache-control": "no-cache"}, body=_with_first(first, events)
        )

    async def _asked(self, request: HttpRequest, model: str, version: str) -> tuple[Model, InferRequest, float | None]:
        found = self._gateway.model(model, version)
        fields = parse_json(request.body, dict[str, Any])
        await found.available()
        asked = request_of(fields, [edge.spec for edge in found.signature.inputs])
        return found, asked, relative_timeout_ms(asked.parameters, request.headers.get(TIMEOUT_HEADER.lower()))

    async def _events(self, model: Model, asked: InferRequest, timeout_ms: float | None) -> AsyncIterator[bytes]:
        waiting: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(MAX_WAITING)

        async def queue(answer: InferResponse) -> None:
            await waiting.put(_event(msgspec.json.encode(fields_of(answer))))

        async def run() -> None:
            began = time.perf_counter()
            try:
                await self._gateway.stream(model, asked, queue, timeout_ms)
            except Exception as error:  # noqa: BLE001 - whatever happens, the client is told
                await waiting.put(error)
            finally:
                self._gateway.metrics.answered(time.perf_counter() - began)
            await waiting.put(None)

        running = asyncio.create_task(run())
        begun = False
        try:
            while (event := await waiting.get()) is not None:
                if isinstance(event, Exception):
                    if not begun:
                        raise event
                    event = _event(b"".join(failure(event).body))  # type: ignore[arg-type] # an error is no stream
                begun = True
                yield event
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


async def _with_first(first: bytes, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        if first:
            yield first
        async for event in events:
            yield event
    finally:
        await events.aclose()  # type: ignore[attr-defined] # it is a generator
