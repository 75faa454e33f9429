"""The client against small servers of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from heterosis.client import Client
from heterosis.serving.protocol import (
    HEADER_LENGTH,
    InferResponse,
    decode_request,
    encode_error,
    encode_response,
)
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER
from heterosis.terms.errors import (
    DeadlineError,
    HeterosisError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client_of(handler: Handler) -> AsyncIterator[Client]:
    """A client of a server that answers everything with ``handler``."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with Client(f"{host}:{port}/") as client:
            yield client
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    """Answer with the inputs as outputs, and with the request's own path and headers."""
    asked = decode_request(await request.read(), request.headers.get(HEADER_LENGTH))
    outputs = dict(asked.inputs)
    for name, value in (("path", request.raw_path), ("timeout", request.headers.get(TIMEOUT_HEADER, ""))):
        outputs[name] = np.array([value.encode()], dtype=object)
    length, parts = encode_response(InferResponse(model_name="m", outputs=outputs), asked)
    headers = {} if length is None else {HEADER_LENGTH: str(length)}
    return web.Response(body=b"".join(parts), headers=headers)


def answering(status: int, body: bytes = b"") -> Handler:
    """A handler that always gives this answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    return answer


@pytest.mark.parametrize("binary", [True, False])
async def test_infer(binary: bool) -> None:  # noqa: FBT001
    """Arrays go out and come back, in both forms; the model's name is quoted and the timeout rides along."""
    sent = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "s": np.array(["ü"])}
    async with client_of(echo) as client:
        got = await client.infer("a/b c", sent, binary=binary, timeout_ms=1500)
    np.testing.assert_array_equal(got["x"], sent["x"])
    assert got["s"].tolist() == ["ü".encode()]
    assert got["path"].tolist() == [b"/v2/models/a%2Fb%20c/infer"]
    assert got["timeout"].tolist() == [b"1500.000"]


async def test_large_inputs() -> None:
    """Several megabytes pass without a warning about the event loop."""
    sent = np.random.default_rng(0).integers(0, 255, 3 * 2**20, dtype=np.uint8)
    async with client_of(echo) as client:
        got = await client.infer("m", {"x": sent})
    np.testing.assert_array_equal(got["x"], sent)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidInputError),
        (404, NotFoundError),
        (413, TooLargeError),
        (429, RefusedError),
        (500, HeterosisError),
        (503, UnavailableError),
        (504, DeadlineError),
    ],
)
async def test_errors_by_status(status: int, error: type[HeterosisError]) -> None:
    """Each status is the error that the server raised, with its message."""
    async with client_of(answering(status, encode_error("for this reason"))) as client:
        with pytest.raises(error, match="for this reason") as caught:
            await client.infer("m", {})
    assert type(caught.value) is error


async def test_answer_of_another_server() -> None:
    """What is no answer of this protocol is said to be none."""
    async with client_of(answering(200, b"<html>")) as client:
        for call in (client.infer("m", {}), client.metadata(), client.model_metadata("m")):
            with pytest.raises(HeterosisError, match="does not follow the Open Inference Protocol"):
                await call


async def test_unreachable() -> None:
    """A server that is not there is unavailable, and not ready."""
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(UnavailableError, match=r"cannot reach http://127\.0\.0\.1:9"):
            await client.infer("m", {})
        assert not await client.ready()


async def test_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers ends in a DeadlineError some time after the request's own timeout."""
    import asyncio

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    monkeypatch.setattr("heterosis.client.client.GRACE_SECONDS", 0.05)
    async with client_of(silent) as client:
        with pytest.raises(DeadlineError, match="no answer from"):
            await client.infer("m", {}, timeout_ms=50)


async def test_readiness_and_metadata() -> None:
    """The server and its models are described, and asked whether they are ready, at the protocol's paths."""
    bodies = {
        "/v2": b'{"name": "heterosis", "version": "1", "extensions": ["binary_tensor_data"]}',
        "/v2/models/m": b'{"name": "m", "platform": "p", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],'
        b' "outputs": []}',
        "/v2/health/ready": b"",
        "/metrics": b"# metrics",
    }

    async def answer(request: web.Request) -> web.Response:
        body = bodies.get(request.path)
        return web.Response(status=404) if body is None else web.Response(body=body)

    async with client_of(answer) as client:
        assert (await client.metadata()).extensions == ("binary_tensor_data",)
        assert (await client.model_metadata("m")).inputs[0].shape == (-1,)
        assert await client.ready()
        assert not await client.ready("m")
        assert await client.metrics() == "# metrics"


async def test_client_must_be_open() -> None:
    """A client outside its context says how to use it."""
    with pytest.raises(UnavailableError, match="async with Client"):
        await Client("http://127.0.0.1:9").infer("m", {})
