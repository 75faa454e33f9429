"""A request of many rows whose deadline one instance cannot meet: whether two can, each with a part of it.

Two instances of a model of 0.7 milliseconds, on a core each; one client sends requests of 192 rows, 21 MB by HTTP, one
after the other. What a whole one takes is the median of some that have no deadline; deadlines are shares of that.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.models import INPUT, example, make_models
from benchmarks.peers.server import free_port
from benchmarks.start import PATIENCE_S, ready
from heterosis.client import Client
from heterosis.serving.protocol import InferRequest, encode_request
from heterosis.terms.errors import DeadlineError

MODEL_MS, ROWS = 0.7, 192
RATE_RPS = 1500.0
"""So many that the plan has an instance on each of two cores."""
SHARES = (0.9, 0.75, 0.6)
WHOLE, REQUESTS = 11, 40


def run() -> dict[str, float]:
    """Measure, with splitting and without."""
    figures: dict[str, float] = {}
    length, parts = encode_request(InferRequest(inputs={INPUT: example(ROWS)}, binary_output=True))
    body = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        (model,) = make_models(Path(folder), (MODEL_MS,))
        for policy in ("heterosis", "heterosis:without_splitting"):
            with serving(Path(model.path), policy) as url:
                found = asyncio.run(ask(url, model.name, body, length))
            figures |= {f"{policy}: {figure}": value for figure, value in found.items()}
    return figures


async def ask(url: str, model: str, body: bytes, length: int | None) -> dict[str, float]:
    """Send the requests; return what a whole one took, and of those with deadlines which were in time, and how soon."""
    async with Client(url) as client:

        async def took_ms(timeout_ms: float | None = None) -> float | None:
            began = time.perf_counter()
            try:
                await client.send(model, body, length, timeout_ms=timeout_ms)
            except DeadlineError:
                return None
            return (time.perf_counter() - began) * 1e3

        times = [await took_ms() for _ in range(WHOLE)]
        whole_ms = statistics.median(each for each in times if each is not None)
        figures = {"without a deadline, median ms": whole_ms}
        for share in SHARES:
            found = [await took_ms(share * whole_ms) for _ in range(REQUESTS)]
            answered = [each for each in found if each is not None]
            figures[f"deadline of {share:g} of that: in time"] = len(answered) / REQUESTS
            figures[f"deadline of {share:g} of that: median ms"] = statistics.median(answered or [float("nan")])
    return figures


@contextmanager
def serving(model: Path, policy: str) -> Iterator[str]:
    """Serve a model; give the server's address."""
    port = free_port()
    command = [sys.executable, "-m", "heterosis.cli", "serve", str(model), "--policy", policy, "--rate", str(RATE_RPS)]
    command += ["--port", str(port), "--grpc-port", "none", "--store", str(model.parent / "store"), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603 - ourselves
        try:
            ends = time.monotonic() + PATIENCE_S
            while not ready(port) and time.monotonic() < ends:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
