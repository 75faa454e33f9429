"""Measures one configuration at one batch size, in the process that runs it."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.pipeline import StageRunner
from heterosis.profiling.statistics import interval_ratio, summarise
from heterosis.terms import UNKNOWN, Energy, Latency
from heterosis.terms.errors import StageError

Args = tuple[Any, ...]

TARGET_RATIO = 0.03
"""Enough is known once the 95 % confidence interval of the median is within 3 % on either side."""

FEWEST_SAMPLES = 5
"""Taken even where the time allowed is over before."""

LONGER_WHERE_BUSY = 2.0
"""By how many times of the time allowed sampling goes on where it had to wait for its cores."""

WANTED_SAMPLES = 30
MOST_SAMPLES = 10_000
FEWEST_BATCHES = 64
SEED = 1


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How a process began; the fields are those of `ColdStart`."""

    start_ms: float
    load_ms: float
    first_ms: float
    cpu_ms: float
    memory_bytes: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured at a batch size; the fields are those of `OperatingPoint`, and when it was sampled."""

    batch: int
    latency: Latency
    cpu_ms: float
    dynamic_energy: Energy = UNKNOWN
    """Of a batch, where a meter of the hardware counted it."""
    window: tuple[float, float] = (0.0, 0.0)
    """From when to when, by the monotonic clock of the machine."""
    load_ms: float
    warm_up_ms: float
    memory_bytes: int
    samples: int
    outliers: int
    interval_ratio: float
    waiting_ratio: float


def measure(
    runner: StageRunner,
    calls: Sequence[Args],
    batch: int,
    seconds: float,
    load_ms: float,
    *,
    target_ratio: float = TARGET_RATIO,
) -> Measurement:
    """Run batches of traced calls until the median is known well enough, or for about so many seconds.

    Every configuration gets the same batches, see `draw`, as many as there is time for. All of them run once before, to
    warm up, for at most as long again: an engine that prepares for each new shape shall have met those that count.
    What a batch waited for its cores, because other processes had them, is no part of its latency. Raise StageError
    where a call fails.
    """
    warm, warm_up_ms = _warm_up(runner, itertools.islice(draw(calls, batch), -(-len(calls) // batch)), seconds)
    durations, cpu_seconds, waited_s = [], 0.0, 0.0
    cores = len(os.sched_getaffinity(0))
    batches = itertools.cycle(warm)
    check_at = max(WANTED_SAMPLES, len(warm))
    began = time.monotonic()
    begins = time.perf_counter()
    ends = begins + seconds
    for count in itertools.count(1):
        chosen = next(batches)
        waits_before, cpu_before, before = waits(), time.process_time(), time.perf_counter()
        run_checked(runner, chosen)
        after = time.perf_counter()
        cpu_s = time.process_time() - cpu_before
        cpu_seconds += cpu_s
        # The threads of a batch work side by side: it is as late as the one that waited longest.
        waited = max((now - waits_before.get(thread, 0.0) for thread, now in waits().items()), default=0.0)
        waited_s += waited
        durations.append(max(after - before - waited, cpu_s / cores) * 1e3)
        latest = ends + min(waited_s, LONGER_WHERE_BUSY * seconds)
        if (after >= latest and count >= FEWEST_SAMPLES) or count >= MOST_SAMPLES:
            break
        if count >= check_at:
            if interval_ratio(sorted(durations)) <= target_ratio:
                break
            check_at = round(count * 1.2)
    ended = time.monotonic()
    waiting_ratio = waited_s / (time.perf_counter() - begins)
    summary = summarise(durations)
    return Measurement(
        batch=batch,
        latency=summary.latency,
        cpu_ms=cpu_seconds / len(durations) * 1e3,
        window=(began, ended),
        load_ms=load_ms,
        warm_up_ms=warm_up_ms,
        memory_bytes=memory_bytes("VmHWM"),
        samples=summary.samples,
        outliers=summary.outliers,
        interval_ratio=summary.interval_ratio,
        waiting_ratio=waiting_ratio,
    )


def draw(calls: Sequence[Args], batch: int) -> Iterator[list[Args]]:
    """Draw batches of random calls without end, the same at every draw; each call comes up equally often.

    Time allows for few batches of a slow variant, and inputs differ. So the order is such that the first few are
    already typical: sorted by size, batches are visited from everywhere in turn (stratified sampling, in the order of
    van der Corput's sequence). What is in a batch stays random.
    """
    random = np.random.default_rng(SEED)
    shuffles = -(-FEWEST_BATCHES * batch // len(calls))
    shuffled = np.concatenate([random.permutation(len(calls)) for _ in range(shuffles)])
    sizes = np.array([_size(args) for args in calls])
    batches = np.resize(shuffled, (-(-len(shuffled) // batch), batch))
    by_size = batches[np.argsort(sizes[batches].sum(axis=1), kind="stable")]
    bits = len(by_size).bit_length()
    order = [place for turn in range(1 << bits) if (place := _mirrored(turn, bits)) < len(by_size)]
    for place in itertools.cycle(order):
        yield [calls[position] for position in by_size[place]]


def waits() -> dict[str, float]:
    """Return for each thread how long it has been ready to run while its core was taken, in seconds.

    Nothing where Linux keeps no count.
    """
    found = {}
    for task in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            found[task.parent.name] = int(task.read_text(encoding="ascii").split()[1]) / 1e9
    return found


def memory_bytes(figure: str) -> int:
    """Return what this process has in memory (``VmRSS``), or has had at most so far (``VmHWM``).

    Read from /proc, since getrusage() counts what the parent had in memory when it started this process.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{figure}:"):
            return int(line.split()[1]) * 1024
    return 0


def run_checked(runner: StageRunner, chosen: Sequence[Args]) -> None:
    """Run a batch. Raise StageError where one of its calls fails."""
    for result in runner.run(chosen):
        if isinstance(result, StageError):
            raise result


def _mirrored(number: int, bits: int) -> int:
    return int(f"{number:0{bits}b}"[::-1], 2)


def _size(value: Any) -> int:
    """Roughly the bytes of a value: what it costs to process grows with them, as a rule."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(_size(item) for item in value)
    return len(value) if isinstance(value, (str, bytes)) else 8


def _warm_up(runner: StageRunner, batches: Iterator[list[Args]], seconds: float) -> tuple[list[list[Args]], float]:
    """Run batches, at least the fewest, as far as time allows; return them, and the milliseconds it took."""
    started = time.perf_counter()
    warm = []
    for chosen in batches:
        run_checked(runner, chosen)
        warm.append(chosen)
        if time.perf_counter() - started > seconds and len(warm) >= FEWEST_SAMPLES:
            break
    return warm, (time.perf_counter() - started) * 1e3
