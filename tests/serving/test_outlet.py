"""What is written past the transport arrives, whole and in order, whoever takes it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from heterosis.serving.outlet import Outlet

LARGE = bytes(range(256)) * 20_000


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """A transport, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    yield transport, theirs
    transport.abort()
    theirs.close()


def read(end: socket.socket, count: int) -> bytes:
    """Read so many bytes."""
    found = bytearray()
    while len(found) < count:
        found += end.recv(1 << 16)
    return bytes(found)


async def small() -> None:
    """A small message is there before the loop has had a turn."""
    async with connected() as (transport, theirs):
        Outlet(transport).write(b"now")
        assert theirs.recv(100, socket.MSG_DONTWAIT) == b"now"
        assert not transport.get_write_buffer_size()


async def large() -> None:
    """What the kernel does not take goes out by and by, and what is written meanwhile follows it."""
    async with connected() as (transport, theirs):
        outlet = Outlet(transport)
        outlet.write(LARGE)
        assert 0 < transport.get_write_buffer_size() < len(LARGE)
        outlet.write(b"and this")
        transport.write(b", and that")
        outlet.write(b".")
        assert await asyncio.to_thread(read, theirs, len(LARGE) + 19) == LARGE + b"and this, and that."


async def gone() -> None:
    """A client that has gone is no error here: the transport finds out, and closes."""
    async with connected() as (transport, theirs):
        theirs.close()
        Outlet(transport).write(b"to nobody")
        for _ in range(100):
            await asyncio.sleep(0.01)
            if transport.is_closing():
                return
        raise AssertionError("it is still open")


async def closing() -> None:
    """Whoever gets the file of a connection that was closed gets nothing that was meant for its client."""
    async with connected() as (transport, theirs):
        outlet = Outlet(transport)
        transport.abort()
        outlet.write(b"to the former client")
        assert await asyncio.to_thread(theirs.recv, 100) == b""


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("case", [small, large, gone, closing])
def test_outlet(case: Callable[[], Awaitable[None]], loop: Callable[[Awaitable[None]], None]) -> None:
    """On the loop that serves, and on Python's own."""
    loop(case())
