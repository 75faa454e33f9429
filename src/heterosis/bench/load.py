"""Sends requests when they are due, whatever the answers do.

Latency counts from the scheduled arrival, not from when the generator came round to sending: a slow server, or a slow
generator, cannot hide a wait by delaying the next request ("coordinated omission", G. Tene).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from heterosis.bench.shots import Shot
from heterosis.client import UnreachableError
from heterosis.serving.protocol import InferResponse
from heterosis.terms.errors import HeterosisError

MAX_IN_FLIGHT = 2048
"""A safety for the generator's own memory and sockets; requests past it wait, and their wait counts as latency."""

UNREACHABLE = 0
"""The status of a request that got no answer at all."""


class Sender(Protocol):
    """Who can send a shot: `heterosis.client.Client` and `GrpcClient`."""

    async def send(
        self, model: str, body: bytes, header_length: int | None, *, timeout_ms: float | None = None
    ) -> InferResponse:
        """Send a request and return the answer. Raise HeterosisError where there is none."""
        ...


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request. Times are seconds from the start of the load; a status is HTTP's or `UNREACHABLE`."""

    sample: int
    scheduled_s: float
    sent_s: float
    done_s: float
    status: int
    error: str = ""
    outputs: Mapping[str, "np.ndarray[Any, Any]"] | None = None

    @property
    def answered(self) -> bool:
        """Whether there was a result."""
        return self.outputs is not None

    @property
    def latency_ms(self) -> float:
        """From the scheduled arrival to the end of the answer."""
        return (self.done_s - self.scheduled_s) * 1e3

    @property
    def lag_ms(self) -> float:
        """How late the generator itself was."""
        return (self.sent_s - self.scheduled_s) * 1e3


async def offer(
    client: Sender,
    model: str,
    load: Iterable[tuple[float, Shot]],
    *,
    timeout_ms: float | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
    progress: Callable[[Outcome], object] = lambda _: None,
) -> list[Outcome]:
    """Send each shot at its arrival (seconds, ascending) and return when every request has ended.

    ``timeout_ms`` rides on each request; ``progress`` is called with each outcome.
    """
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(max_in_flight)
    outcomes: list[Outcome] = []
    start = loop.time()

    async def send(arrival: float, shot: Shot) -> None:
        async with gate:
            sent = loop.time() - start
            status, error, outputs = 200, "", None
            try:
                response = await client.send(model, shot.body, shot.header_length, timeout_ms=timeout_ms)
                outputs = response.outputs
            except HeterosisError as failure:
                status = UNREACHABLE if isinstance(failure, UnreachableError) else failure.status
                error = str(failure)
        outcome = Outcome(
            sample=shot.sample,
            scheduled_s=arrival,
            sent_s=sent,
            done_s=loop.time() - start,
            status=status,
            error=error,
            outputs=outputs,
        )
        outcomes.append(outcome)
        progress(outcome)

    async with asyncio.TaskGroup() as group:
        for arrival, shot in load:
            await asyncio.sleep(max(0.0, start + arrival - loop.time()))
            group.create_task(send(arrival, shot))
    return outcomes


async def warm_up(client: Sender, model: str, shots: Sequence[Shot], *, timeout_ms: float | None = None) -> None:
    """Send each shot once, one after another, so that the first counted request meets a warm server.

    Raise the error of the first that fails: a load that cannot succeed is not worth offering.
    """
    for shot in shots:
        await client.send(model, shot.body, shot.header_length, timeout_ms=timeout_ms)
