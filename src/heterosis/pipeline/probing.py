"""What a plain model takes, gives and costs, found out by running it for a moment, in a process of its own.

A quick look, so that a model can be served within a second or two of its first sight: the file as it is, on random
tensors, a few runs of each batch size. `heterosis profile` measures with care.

Started as ``python -c "from heterosis.pipeline.probing import main; main()"`` with a `Question` on standard input; it
writes what it found on the descriptor that this names.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.pipeline.model import SEED, ModelStage, fitting_length, open_session, synthetic
from heterosis.pipeline.runner import StageRunner
from heterosis.pipeline.tensors import TensorRunner
from heterosis.terms import Latency, TensorSpec
from heterosis.terms.errors import HeterosisError, StageError

SECONDS = 0.03
"""For each batch size, the fewest runs permitting."""
FEWEST_RUNS, MOST_RUNS = 3, 50
BATCHES = (1, 2, 4, 8, 16, 32)
HOP_MS = 0.2
"""What a batch costs besides, about: a message to a worker, and one back."""
WORTH_IT = 0.9
"""A larger batch is of use where it does so many times as much per second, that included: not much less."""
WORTH_THREADS = 1.5
"""All cores are taken for one batch where that is so much faster than one."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Look at this file, on so many cores; a batch may take so long."""

    path: str
    cores: int
    most_ms: float
    answers: int
    """The descriptor to answer on."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Times of one batch size."""

    batch: int
    latency: Latency
    cpu_ms: float


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    length: int = 1
    """With which it ran, for the axes that it leaves open."""
    threads: int = 1
    points: tuple[Point, ...] = ()
    """Of ascending batch sizes; more than one where requests can be joined. Empty where it ran on nothing."""
    batched: bool = False
    """Whether its first axis is one of independent rows."""
    load_ms: float = 0.0
    error: str = ""
    """Why it cannot be loaded, or did not run."""


def main() -> None:
    """Answer the question on standard input."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    try:
        found = probe(question)
    except HeterosisError as error:
        found = Probed(inputs=(), outputs=(), error=str(error))
    os.write(question.answers, msgspec.json.encode(found))
    os.close(question.answers)
    os._exit(0)  # engines take their time to clean up


def probe(question: Question) -> Probed:
    """Load a model and run it. Raise EngineError where it cannot be loaded."""
    path = Path(question.path)
    started = time.perf_counter()
    session = open_session(path, 1)
    load_ms = (time.perf_counter() - started) * 1e3
    stage = ModelStage(path)
    runner = TensorRunner(stage, path.stem, session)
    try:
        length = fitting_length(session)
        calls = _calls(session.inputs, length)
        first = _measure(runner, [calls[0]])
    except HeterosisError as error:
        return Probed(inputs=session.inputs, outputs=session.outputs, load_ms=load_ms, error=str(error))
    threads = 1
    if question.cores > 1 and first.latency.p50_ms > 1.0:  # less than that is not worth dividing
        wide = TensorRunner(stage, path.stem, open_session(path, question.cores))
        faster = _measure(wide, [calls[0]])
        if first.latency.p50_ms > WORTH_THREADS * faster.latency.p50_ms:
            runner, first, threads = wide, faster, question.cores
    return Probed(
        inputs=session.inputs,
        outputs=session.outputs,
        length=length,
        threads=threads,
        points=(first, *_larger(runner, calls, first, question.most_ms)),
        batched=bool(runner.joins),
        load_ms=load_ms,
    )


def _calls(specs: Sequence[TensorSpec], length: int) -> list[tuple[Any, ...]]:
    random = np.random.default_rng(SEED)
    return [(synthetic(specs, 1, length, random),) for _ in range(BATCHES[-1])]


def _larger(runner: TensorRunner, calls: Sequence[tuple[Any, ...]], first: Point, most_ms: float) -> Iterator[Point]:
    """Measure larger batches, as long as they are worth it."""
    last = first
    for batch in BATCHES[1:]:
        runner.run(calls[:2])  # both ways, the first time
        if not runner.joins or 2 * last.latency.p95_ms > most_ms:
            return
        point = _measure(runner, calls[:batch])
        gain = (batch / (HOP_MS + point.latency.p50_ms)) / (last.batch / (HOP_MS + last.latency.p50_ms))
        if point.latency.p95_ms > most_ms or gain < WORTH_IT:
            return
        yield point
        last = point


def _measure(runner: StageRunner, calls: Sequence[tuple[Any, ...]]) -> Point:
    _run(runner, calls)  # to warm up
    times: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    while len(times) < FEWEST_RUNS or (time.perf_counter() - began < SECONDS and len(times) < MOST_RUNS):
        before = time.perf_counter()
        _run(runner, calls)
        times.append((time.perf_counter() - before) * 1e3)
    cpu_ms = (time.process_time() - cpu) / len(times) * 1e3
    p50, p95, p99 = np.quantile(times, (0.5, 0.95, 0.99)).tolist()
    return Point(
        batch=len(calls),
        latency=Latency(mean_ms=float(np.mean(times)), p50_ms=p50, p95_ms=p95, p99_ms=p99),
        cpu_ms=cpu_ms,
    )


def _run(runner: StageRunner, calls: Sequence[tuple[Any, ...]]) -> None:
    for result in runner.run(calls):
        if isinstance(result, StageError):
            raise result
