"""Which requests are sent again, and when not."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from heterosis.client import BlockingClient, BrokenError, Client, Retry, UnreachableError
from heterosis.client.retrying import retrying
from heterosis.serving.http import HttpRequest, HttpResponse, HttpServer, json_response
from heterosis.serving.protocol import InferResponse, decode_request, encode_response
from heterosis.serving.protocol.messages import ErrorBody
from heterosis.terms.errors import InvalidInputError, RefusedError, UnavailableError

FAST = Retry(attempts=3, first_wait_s=0.01)
VALUES = {"x": np.arange(3, dtype=np.float32)}


class Moody:
    """A server that refuses so many requests with a status, then answers with what it is sent."""

    def __init__(self, refusals: int, status: int, retry_after: str = "0") -> None:
        """Be in a mood."""
        self.asked = 0
        self._refusals, self._status, self._retry_after = refusals, status, retry_after

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer or refuse."""
        self.asked += 1
        if self.asked <= self._refusals:
            return json_response(ErrorBody("not now"), self._status, {"retry-after": self._retry_after})
        length = request.headers["inference-header-content-length"]
        asked = decode_request(request.body, length)
        header_length, parts = encode_response(InferResponse(model_name="m", outputs=asked.inputs), asked)
        return HttpResponse(headers={"inference-header-content-length": str(header_length)}, body=parts)


async def ask(moody: Moody, retry: Retry, timeout_ms: float | None = None) -> Any:
    """Ask a moody server."""
    server = HttpServer(moody, 1 << 20)
    await server.start("127.0.0.1", 0)
    try:
        async with Client(server.url, retry=retry) as client:
            return (await client.infer("m", VALUES, timeout_ms=timeout_ms))["x"].tolist()
    finally:
        await server.stop(0)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refused_request_is_sent_again(status: int) -> None:
    """As often as the caller allows."""
    moody = Moody(2, status)
    assert await ask(moody, FAST) == [0.0, 1.0, 2.0]
    assert moody.asked == 3


async def test_the_last_refusal_is_raised() -> None:
    """After the last attempt."""
    moody = Moody(9, 503)
    with pytest.raises(UnavailableError, match="not now"):
        await ask(moody, FAST)
    assert moody.asked == 3


async def test_what_the_client_did_wrong_is_not_tried_again() -> None:
    """It would be wrong again."""
    moody = Moody(1, 400)
    with pytest.raises(InvalidInputError):
        await ask(moody, FAST)
    assert moody.asked == 1


async def test_no_wait_goes_past_the_timeout() -> None:
    """Where the server asks for longer than there is, the refusal is raised at once."""
    began = time.monotonic()
    with pytest.raises(RefusedError):
        await ask(Moody(1, 429, retry_after="30"), Retry(most_wait_s=60), timeout_ms=500)
    assert time.monotonic() - began < 5


async def test_only_what_found_no_connection_is_sent_again() -> None:
    """A request on a connection that broke may have been begun."""
    for error, attempts in ((UnreachableError("no"), 3), (BrokenError("broke"), 1)):
        seen = 0

        async def attempt(_: float | None, error: Exception = error) -> None:
            nonlocal seen
            seen += 1
            raise error

        with pytest.raises(UnreachableError):
            await retrying(FAST, None, attempt)
        assert seen == attempts


async def test_the_blocking_client_does_the_same() -> None:
    """From a thread without a loop."""
    server = HttpServer(Moody(1, 503), 1 << 20)
    await server.start("127.0.0.1", 0)

    def work() -> Any:
        with BlockingClient(server.url, retry=FAST) as client:
            return client.infer("m", VALUES)["x"].tolist()

    assert await asyncio.to_thread(work) == [0.0, 1.0, 2.0]
    await server.stop(0)
