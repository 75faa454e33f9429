"""The process in which one configuration is measured, so that no other's memory, threads or warmth get into it.

Started as ``python -c BOOTSTRAP CORES``, which pins the process before any library can start threads. It reads a
`Job` and then any number of `Measure` from its standard input, one JSON value a line, and answers each on the job's
descriptor with `Loaded`, `Measured`, or `Broken`. It ends when its input closes.
"""

import os
import sys
import time

import msgspec

from heterosis.pipeline import load_pipeline
from heterosis.pipeline.opening import open_runner
from heterosis.profiling.inputs import load_inputs
from heterosis.profiling.sampling import TARGET_RATIO, Measurement, Start, draw, measure, memory_bytes, run_checked
from heterosis.terms import Variant

BOOTSTRAP = (
    "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); "
    "from heterosis.profiling.probe import main; main()"
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. ``started`` is the monotonic time at which the process was asked for."""

    pipeline: str
    stage: str
    variant: Variant
    threads: int
    inputs: str
    started: float
    answers: int
    """The descriptor to answer on."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Measure this batch size, for about so many seconds."""

    batch: int
    seconds: float
    whole: bool = False
    """Whether to sample for all of that time, however well the median is known before."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The session is open, and has answered once."""

    start: Start


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One batch size is done."""

    measurement: Measurement


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The configuration cannot be measured, for this reason, and the process ends."""

    reason: str


Answer = Loaded | Measured | Broken


def main() -> None:
    """Load what the job says, and measure what is asked for."""
    begun = time.monotonic()
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    try:
        asked = time.monotonic()
        pipeline = load_pipeline(job.pipeline)
        stage = next(stage for stage in pipeline.stages if stage.name == job.stage)
        runner = open_runner(stage, job.variant, job.threads)
        loaded = time.monotonic()
        calls = load_inputs(job.inputs)
        first = next(draw(calls, 1))
        before = time.monotonic()
        run_checked(runner, first)
        start = Start(
            start_ms=(begun - job.started) * 1e3,
            load_ms=(loaded - asked) * 1e3,
            first_ms=(time.monotonic() - before) * 1e3,
            cpu_ms=time.process_time() * 1e3,
            memory_bytes=memory_bytes("VmRSS"),
        )
        _answer(job, Loaded(start=start))
        for line in sys.stdin.buffer:
            wanted = msgspec.json.decode(line, type=Measure)
            took_ms = start.start_ms + start.load_ms
            measurement = measure(
                runner, calls, wanted.batch, wanted.seconds, took_ms, target_ratio=0.0 if wanted.whole else TARGET_RATIO
            )
            _answer(job, Measured(measurement=measurement))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why this configuration is left out
        _answer(job, Broken(reason=f"{type(error).__name__}: {error}"))
        sys.exit(1)


def _answer(job: Job, answer: Answer) -> None:
    os.write(job.answers, msgspec.json.encode(answer) + b"\n")
