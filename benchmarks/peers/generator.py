"""The load generator: a program of its own, so that its CPU time is no server's. Orders in, figures out, by line.

For each order it connects and sends one request on each connection, says ``ready``, waits for a line, and then offers
the load: closed (each client sends its next request when it has the last answer) or open (requests are due at random
times of a fixed rate, whatever the answers do; latency counts from when they were due).

    python -m benchmarks.peers.generator
"""

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from benchmarks.peers.connections import GrpcConnection, HttpConnection, RequestError
from benchmarks.peers.payloads import Target

MAX_OPEN = 256
"""Connections of an open load; requests past it wait for one, and their wait counts as latency."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to offer: ``clients`` in a closed loop, or with ``rate`` per second an open one."""

    port: int
    target: Target
    seconds: float
    clients: int = 0
    rate: float = 0.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. ``answer`` is the body of one answer, with its headers."""

    count: int
    errors: int
    error: str
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    answer: bytes
    headers: Mapping[str, str]


class Connection(Protocol):
    """One client's way to the server."""

    async def ask(self) -> bytes:
        """Send the request and return the answer's body. Raise RequestError where it is no success."""
        ...

    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Tally:
    """Counts answers."""

    def __init__(self) -> None:
        """Start at zero."""
        self.latencies: list[float] = []
        self.errors = 0
        self.error = ""

    async def ask(self, connection: Connection, due: float) -> None:
        """Send one request that was due then."""
        try:
            await connection.ask()
        except RequestError as error:
            self.errors += 1
            self.error = str(error)
            await asyncio.sleep(0.01)
        else:
            self.latencies.append(time.perf_counter() - due)


async def closed(connections: list[Connection], seconds: float, tally: Tally) -> None:
    """Each client sends its next request when it has the last answer."""
    end = time.perf_counter() + seconds

    async def client(connection: Connection) -> None:
        while (now := time.perf_counter()) < end:
            await tally.ask(connection, now)

    await asyncio.gather(*map(client, connections))


async def opened(connections: list[Connection], rate: float, seconds: float, tally: Tally) -> None:
    """Requests are due at the times of a Poisson process, the same at every call."""
    draw = random.Random(3)  # noqa: S311 - no secret
    idle, free = deque(connections), asyncio.Semaphore(len(connections))
    start = due = time.perf_counter()

    async def send(due: float) -> None:
        async with free:
            connection = idle.popleft()
            await tally.ask(connection, due)
            idle.append(connection)

    async with asyncio.TaskGroup() as group:
        while (due := due + draw.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(send(due))


async def obey(order: Order, ready: Callable[[], Awaitable[object]]) -> Figures:
    """Connect, wait for the word, offer the load, and tell."""
    kind = GrpcConnection if order.target.grpc else HttpConnection
    count = order.clients or min(MAX_OPEN, max(8, round(order.rate)))
    connections: list[Connection] = [kind(order.port, order.target) for _ in range(count)]
    try:
        answer = await connections[0].ask()
        if not order.rate:
            await asyncio.gather(*(connection.ask() for connection in connections))
        await ready()
        tally = Tally()
        cpu, started = time.process_time(), time.perf_counter()
        if order.rate:
            await opened(connections, order.rate, order.seconds, tally)
        else:
            await closed(connections, order.seconds, tally)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        latencies_ms = np.array(tally.latencies or [float("nan")]) * 1e3
        return Figures(
            count=len(tally.latencies),
            errors=tally.errors,
            error=tally.error,
            seconds=seconds,
            p50_ms=float(np.percentile(latencies_ms, 50)),
            p99_ms=float(np.percentile(latencies_ms, 99)),
            cpu_s=cpu,
            answer=answer,
            headers=connections[0].headers(),
        )
    finally:
        for connection in connections:
            await connection.close()


async def main() -> None:
    """Obey until standard input closes."""
    loop = asyncio.get_running_loop()

    async def ready() -> None:
        _say(b"ready")
        await loop.run_in_executor(None, sys.stdin.readline)

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            said = msgspec.json.encode(await obey(msgspec.json.decode(line, type=Order), ready))
        except RequestError as error:
            said = msgspec.json.encode({"error": str(error)})
        _say(said)


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
