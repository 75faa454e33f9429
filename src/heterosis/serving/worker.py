"""A worker: one instance: one session of one variant, with the stage's hooks beside it. It lives in a `host`."""

import os
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from heterosis.launch.control import Join
from heterosis.pipeline import StageRunner, load_pipeline
from heterosis.serving.messages import Assignment, Done, Failed, Hello, Ready, Run
from heterosis.serving.transport import Link
from heterosis.serving.values import Buffer, EncodeError, decode, encode
from heterosis.terms.errors import StageError
from heterosis.variants.loading import open_runner


def work(link: Link, join: Join) -> NoReturn:
    """Join the router, load what it assigns, warm up, and run batches until the link ends."""
    link.connect()
    link.send(Hello(instance=join.instance, token=join.token, pid=os.getpid(), shares=link.shares))
    assignment, frames = link.receive()
    assert isinstance(assignment, Assignment)  # noqa: S101 - the router's first word
    try:
        runner, ready = load(assignment, decode(frames))
    except Exception as error:  # noqa: BLE001 - whatever it is, the router shall hear of it, and have us ended
        link.send(Failed(reason=f"{type(error).__name__}: {error}"))
    else:
        link.send(ready)
    while True:
        message, frames = link.receive()
        assert isinstance(message, Run)  # noqa: S101
        link.send(*run(runner, message, frames))


def load(assignment: Assignment, warm_up: Sequence[Sequence[tuple[Any, ...]]]) -> tuple[StageRunner, Ready]:
    """Load the stage's variant, and run the warm-up batches."""
    started = time.perf_counter()
    pipeline = load_pipeline(assignment.pipeline)
    stage = next(stage for stage in pipeline.stages if stage.name == assignment.stage)
    runner = open_runner(stage, assignment.variant, assignment.threads)
    loaded = time.perf_counter()
    for batch in warm_up:
        runner.run([tuple(args) for args in batch])
    warm = time.perf_counter()
    return runner, Ready(load_ms=(loaded - started) * 1e3, warm_up_ms=(warm - loaded) * 1e3)


def run(runner: StageRunner, message: Run, frames: Sequence[Buffer]) -> tuple[Done, list[Buffer]]:
    """Run one batch; the errors of single calls stand beside the results of the others."""
    started = time.perf_counter()
    calls, position = [], 0
    for size in message.sizes:
        calls.append(tuple(decode(frames[position : position + size])))
        position += size
    sizes: list[int] = []
    buffers: list[Buffer] = []
    errors: dict[int, str] = {}
    for place, result in enumerate(runner.run(calls)):
        encoded: list[bytes | memoryview] = []
        if isinstance(result, StageError):
            errors[place] = str(result)
        else:
            try:
                encoded = encode(result)
            except EncodeError as error:
                errors[place] = f"stage {runner.stage.name!r}: its result cannot travel: {error}"
        sizes.append(len(encoded))
        buffers += encoded
    run_ms = (time.perf_counter() - started) * 1e3
    return Done(batch=message.batch, run_ms=run_ms, sizes=tuple(sizes), errors=errors), buffers
