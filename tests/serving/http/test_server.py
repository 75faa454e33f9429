"""The HTTP server on a socket, under other people's client."""

import asyncio
import gc
import weakref
from typing import Any

import aiohttp
import numpy as np
import pytest

from heterosis.serving.http import HttpRequest, HttpResponse, HttpServer
from heterosis.serving.http.rooms import Heap

MAX_BODY_BYTES = 1 << 20


async def echo(request: HttpRequest) -> HttpResponse:
    """Send back what came."""
    return HttpResponse(body=[request.body], headers={"x-method": request.method})


@pytest.mark.parametrize("size", [0, 1, 5000, 200_000, MAX_BODY_BYTES])
async def test_bodies_of_any_size_go_there_and_back(size: int) -> None:
    """Over one connection, one after the other."""
    server = HttpServer(echo, MAX_BODY_BYTES)
    await server.start("127.0.0.1", 0)
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(server.url, data=body) as response:
                assert await response.read() == body
        assert len(server.connections) == 1
    await server.stop(1)


async def test_a_body_past_the_limit_is_refused_with_an_answer_that_arrives() -> None:
    """Even though the client is still sending."""
    server = HttpServer(echo, MAX_BODY_BYTES)
    await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session, session.post(server.url, data=bytes(3 * MAX_BODY_BYTES)) as response:
        assert response.status == 413
    await server.stop(0)


async def test_a_client_that_goes_leaves_nothing_to_the_collector() -> None:
    """It comes seldom, and bodies are large: what was under way goes at once, and its body with it."""
    bodies: list[weakref.ref[Any]] = []

    class Rooms(Heap):
        def give(self, length: int, _: object, before: int) -> memoryview:
            block = np.zeros(before + length, np.uint8)
            bodies.append(weakref.ref(block))
            return block.data

    async def forever(_: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse()

    server = HttpServer(forever, MAX_BODY_BYTES, Rooms())
    await server.start("127.0.0.1", 0)
    gc.disable()
    try:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.post(server.url, data=bytes(1000))
        await asyncio.sleep(0.1)
        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()
    await server.stop(0)


async def test_stopping_answers_what_is_under_way() -> None:
    """And accepts no more."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(_: HttpRequest) -> HttpResponse:
        begun.set()
        await go.wait()
        return HttpResponse(body=[b"done"])

    server = HttpServer(slow, MAX_BODY_BYTES)
    await server.start("127.0.0.1", 0)
    url = server.url
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(url))
        await begun.wait()
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0.05)
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
        go.set()
        assert await (await asking).read() == b"done"
        await asyncio.wait_for(stopping, 5)


async def test_stopping_gives_up_after_the_grace() -> None:
    """A request that does not end is cut off."""

    async def forever(_: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse()

    server = HttpServer(forever, MAX_BODY_BYTES)
    await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(server.url))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(server.stop(0.1), 5)
        with pytest.raises(aiohttp.ClientError):
            await asking
