"""Servers under load: slices of the bare engine loop and of the load by turns, and the medians of the pairs."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import numpy as np

from benchmarks.peers import engine, generator
from benchmarks.peers.models import INPUT, Model, example, open_session
from benchmarks.peers.payloads import Form
from benchmarks.peers.peer import Peer, Protocol
from benchmarks.peers.server import Batching, Server

T = TypeVar("T")
TRIES = 10
RETRY_S = 1.0


class Load(msgspec.Struct, frozen=True):
    """``clients`` in a closed loop, or an open one at so many times the rate of the bare loop."""

    clients: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.clients} clients" if self.clients else f"open loop at {self.share:g} of bare"


class Length(msgspec.Struct, frozen=True):
    """How long to measure: rounds of a slice of the bare loop and a slice of load, in seconds."""

    rounds: int = 5
    bare_s: float = 1.0
    load_s: float = 2.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came out; medians over the rounds. The engine's figures are those of the bare loop, one item at a time."""

    server: str
    model: str
    protocol: str
    batching: bool
    load: str
    clients: int
    offered_rps: float | None
    rps: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms_per_request: float
    engine_cpu_ms_per_request: float
    overhead_cpu_ms_per_request: float
    outside_cpu_ms_per_request: float | None
    """CPU time of the server outside of the engine's runs, as its processes count them; None where none did."""
    cpu_ratio: float
    """CPU time of the server to that of the bare loop."""
    rps_ratio: float
    """Throughput to that of the bare loop."""
    client_cpu_ms_per_request: float
    errors: int
    error: str = ""


class NoAnswerError(Exception):
    """A server that answers nothing, or no success."""


class WrongAnswerError(Exception):
    """A server whose answer is not the model's."""


class Program:
    """A program that takes an order a line and answers in a line."""

    def __init__(self, *arguments: str) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - a module of this folder
            [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def say(self, order: msgspec.Struct) -> None:
        """Give an order."""
        self._write(msgspec.json.encode(order))

    def go(self) -> None:
        """Say that it may begin."""
        self._write(b"go")

    def hear(self) -> bytes:
        """Wait for a line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the program has ended")
        return line

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()


class Bench:
    """The bare loop and the load generator, ready for servers of one model."""

    def __init__(self, model: Model, length: Length) -> None:
        """Load the model."""
        self.model = model
        self.length = length
        self.input = example()
        self._expected = open_session(model.path).run(None, {INPUT: self.input})[0]
        self._engine = Program("benchmarks.peers.engine", model.path)
        self._generator = Program("benchmarks.peers.generator")

    def close(self) -> None:
        """End the programs."""
        self._engine.close()
        self._generator.close()

    def bare(self) -> engine.Figures:
        """Run the bare loop for a slice."""
        self._engine.say(engine.Order(self.length.bare_s))
        return msgspec.json.decode(self._engine.hear(), type=engine.Figures)

    def offer(self, server: Server, order: generator.Order) -> tuple[float, float, generator.Figures]:
        """Offer a load; return the server's CPU time, and what of it was inside the engine, too."""
        for patience in range(TRIES - 1, -1, -1):  # a server may listen before it can answer
            self._generator.say(order)
            said = self._generator.hear()
            if said.strip() == b"ready":
                break
            if not patience:
                raise NoAnswerError(msgspec.json.decode(said)["error"])
            time.sleep(RETRY_S)
        before, engine_before = server.cpu_seconds(), server.engine_cpu_seconds()
        self._generator.go()
        figures = msgspec.json.decode(self._generator.hear(), type=generator.Figures)
        return server.cpu_seconds() - before, server.engine_cpu_seconds() - engine_before, figures

    def check(self, form: Form, figures: generator.Figures) -> None:
        """Raise WrongAnswerError where an answer is not the model's."""
        answer = form.read(figures.answer, figures.headers)
        if not np.allclose(answer.ravel(), self._expected.ravel(), rtol=1e-2, atol=1e-3):
            raise WrongAnswerError("its answer is not the model's")


class Trial:
    """One server under one kind of load."""

    def __init__(
        self, bench: Bench, peer: Peer, server: Server, protocol: Protocol, batching: Batching, load: Load
    ) -> None:
        """Measure nothing yet."""
        self._bench, self.peer, self.server = bench, peer, server
        self.protocol, self._batching, self._load = protocol, batching, load
        self._form = peer.forms[protocol]
        self._target = self._form.encode(bench.input)
        self._rate = 0.0
        self._pairs: list[tuple[engine.Figures, generator.Figures]] = []
        self._cpu_ms: list[float] = []
        self._outside_ms: list[float] = []

    def turn(self) -> None:
        """Measure a slice of the bare loop, and one of the load. Raise WrongAnswerError, or NoAnswerError."""
        bare = self._bench.bare()
        self._rate = self._rate or self._load.share * bare.items_per_s
        order = generator.Order(
            port=self.server.grpc_port if self._target.grpc else self.server.port,
            target=self._target,
            seconds=self._bench.length.load_s,
            clients=self._load.clients,
            rate=self._rate,
        )
        cpu_s, engine_s, figures = self._bench.offer(self.server, order)
        self._bench.check(self._form, figures)
        self._pairs.append((bare, figures))
        self._cpu_ms.append(cpu_s * 1e3 / max(1, figures.count))
        if engine_s:
            self._outside_ms.append((cpu_s - engine_s) * 1e3 / max(1, figures.count))

    def row(self) -> Row:
        """Say what came out."""
        bares, loads = [bare for bare, _ in self._pairs], [figures for _, figures in self._pairs]
        spent = list(zip(self._cpu_ms, bares, strict=True))
        return Row(
            server=self.peer.name,
            model=self._bench.model.name,
            protocol=self.protocol,
            batching=self._batching.max_batch > 1,
            load=str(self._load),
            clients=self._load.clients,
            offered_rps=self._rate or None,
            rps=statistics.median(each.count / each.seconds for each in loads),
            p50_ms=statistics.median(each.p50_ms for each in loads),
            p99_ms=statistics.median(each.p99_ms for each in loads),
            server_cpu_ms_per_request=statistics.median(self._cpu_ms),
            engine_cpu_ms_per_request=statistics.median(each.cpu_ms_per_item for each in bares),
            overhead_cpu_ms_per_request=statistics.median(cpu_ms - bare.cpu_ms_per_item for cpu_ms, bare in spent),
            outside_cpu_ms_per_request=statistics.median(self._outside_ms) if self._outside_ms else None,
            cpu_ratio=statistics.median(cpu_ms / bare.cpu_ms_per_item for cpu_ms, bare in spent),
            rps_ratio=statistics.median(each.count / each.seconds / bare.items_per_s for bare, each in self._pairs),
            client_cpu_ms_per_request=statistics.median(each.cpu_s * 1e3 / max(1, each.count) for each in loads),
            errors=sum(each.errors for each in loads),
            error=next((each.error for each in loads if each.error), ""),
        )


@contextmanager
def bench(model: Model, length: Length) -> Iterator[Bench]:
    """Have a bench for as long as it is needed."""
    ready = Bench(model, length)
    try:
        yield ready
    finally:
        ready.close()
