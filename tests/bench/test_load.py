"""Open-loop load against small servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from heterosis.bench.load import UNREACHABLE, Outcome, offer, warm_up
from heterosis.bench.shots import Shot
from heterosis.client import Client
from heterosis.serving.protocol import (
    HEADER_LENGTH,
    InferRequest,
    InferResponse,
    decode_request,
    encode_error,
    encode_request,
    encode_response,
)
from heterosis.terms.errors import RefusedError


class OneAtATime:
    """A server that takes ``service_s`` for each request, one after another, and refuses those with an odd sample."""

    def __init__(self, service_s: float, *, refuse_odd: bool = False) -> None:
        """Start idle."""
        self.service_s = service_s
        self.refuse_odd = refuse_odd
        self.busy = asyncio.Lock()
        self.taken = 0

    async def infer(self, request: web.Request) -> web.Response:
        """Double the input."""
        asked = decode_request(await request.read(), request.headers.get(HEADER_LENGTH))
        self.taken += 1
        if self.refuse_odd and asked.inputs["x"][0] % 2:
            return web.Response(status=429, body=encode_error("too busy"))
        async with self.busy:
            await asyncio.sleep(self.service_s)
        response = InferResponse(model_name="m", outputs={"output": asked.inputs["x"] * 2})
        length, parts = encode_response(response, asked)
        return web.Response(body=b"".join(parts), headers={HEADER_LENGTH: str(length)})

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Serve, and give a client."""
        app = web.Application()
        app.router.add_post("/v2/models/m/infer", self.infer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            async with Client(f"{host}:{port}") as client:
                yield client
        finally:
            await runner.cleanup()


def shot(sample: int) -> Shot:
    """A request that says which it is."""
    length, parts = encode_request(InferRequest(inputs={"x": np.array([sample])}, binary_output=True))
    return Shot(sample=sample, body=b"".join(parts), header_length=length)


async def test_answers_come_back() -> None:
    """Every request has one outcome, with its own answer, at its own arrival."""
    server = OneAtATime(0.0)
    seen: list[Outcome] = []
    async with server.client() as client:
        outcomes = await offer(client, "m", [(0.01 * n, shot(n)) for n in range(20)], progress=seen.append)
    assert server.taken == 20
    assert seen == outcomes
    for outcome in outcomes:
        assert outcome.outputs is not None
        assert outcome.outputs["output"].tolist() == [2 * outcome.sample]
        assert outcome.scheduled_s == 0.01 * outcome.sample
        assert outcome.scheduled_s <= outcome.sent_s <= outcome.done_s
        assert (outcome.status, outcome.answered) == (200, True)


async def test_no_coordinated_omission() -> None:
    """A server at twice its capacity shows the wait of every request, although all were sent on time."""
    server = OneAtATime(0.02)
    async with server.client() as client:
        outcomes = await offer(client, "m", [(0.01 * n, shot(n)) for n in range(40)])
    by_arrival = sorted(outcomes, key=lambda outcome: outcome.scheduled_s)
    assert np.median([outcome.lag_ms for outcome in outcomes]) < 10
    # request n waits for the n before it: 20 ms of work came in for every 10 ms that went by
    assert by_arrival[-1].latency_ms > 40 * 20 - 390 - 20
    assert by_arrival[20].latency_ms > 20 * 10


async def test_waiting_for_a_free_connection_counts_as_latency() -> None:
    """The safety limit on requests under way delays sending, but not the clock."""
    server = OneAtATime(0.02)
    async with server.client() as client:
        outcomes = await offer(client, "m", [(0.0, shot(n)) for n in range(10)], max_in_flight=1)
    assert max(outcome.latency_ms for outcome in outcomes) > 10 * 20
    assert max(outcome.lag_ms for outcome in outcomes) > 9 * 20


async def test_errors_are_outcomes() -> None:
    """A refused request ends with its status and message, and disturbs no other."""
    server = OneAtATime(0.0, refuse_odd=True)
    async with server.client() as client:
        outcomes = await offer(client, "m", [(0.0, shot(n)) for n in range(6)])
    assert {outcome.sample: outcome.status for outcome in outcomes} == {0: 200, 1: 429, 2: 200, 3: 429, 4: 200, 5: 429}
    assert {outcome.error for outcome in outcomes if not outcome.answered} == {"too busy"}


async def test_unreachable_server() -> None:
    """Without a server every request ends as unreachable."""
    async with Client("127.0.0.1:9") as client:
        (outcome,) = await offer(client, "m", [(0.0, shot(0))])
    assert outcome.status == UNREACHABLE
    assert "cannot reach" in outcome.error


async def test_warm_up_fails_early() -> None:
    """A load that cannot succeed is not begun."""
    server = OneAtATime(0.0, refuse_odd=True)
    async with server.client() as client:
        await warm_up(client, "m", [shot(0), shot(2)])
        with pytest.raises(RefusedError):
            await warm_up(client, "m", [shot(0), shot(1)])
