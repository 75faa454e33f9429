"""A worker: one instance: one session of one variant, with the stage's hooks beside it. It lives in a `host`."""

import os
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from heterosis.launch.control import Join
from heterosis.pipeline import StageRunner, load_pipeline
from heterosis.pipeline.opening import open_runner
from heterosis.serving import garbage
from heterosis.serving.messages import Assignment, Done, Failed, FromRouter, Hello, Ready, Run, Skip
from heterosis.serving.transport import Link
from heterosis.serving.transport.repeats import Again
from heterosis.serving.values import Buffer, EncodeError, decode, encode
from heterosis.terms.errors import StageError

Adapt = Callable[[Assignment], Assignment]
"""Makes of what the router assigns what is there to be loaded; raises what says why it is not."""


def unchanged(assignment: Assignment) -> Assignment:
    """Load what the router assigns as it is: its files are ours."""
    return assignment


def work(link: Link, join: Join, adapt: Adapt = unchanged) -> NoReturn:
    """Join the router, load what it assigns, warm up, and run batches until the link ends."""
    link.connect()
    link.send(Hello(instance=join.instance, token=join.token, pid=os.getpid(), shares=link.shares))
    assignment, frames = link.receive()
    assert isinstance(assignment, Assignment)  # noqa: S101 - the router's first word
    try:
        runner, ready = load(adapt(assignment), decode(frames))
    except Exception as error:  # noqa: BLE001 - whatever it is, the router shall hear of it, and have us ended
        link.send(Failed(reason=f"{type(error).__name__}: {error}"))
    else:
        garbage.settle()
        link.send(ready)
    inbox = Inbox(link)
    while True:
        message, frames, skipped = inbox.next()
        link.send(*run(runner, message, frames, skipped))


class Inbox:
    """The batches that are to be run, less the calls that nobody waits for any more."""

    def __init__(self, link: Link) -> None:
        """Read from a router."""
        self._link = link
        self._batches: dict[int, tuple[Run, Sequence[Buffer]]] = {}
        self._skipped: dict[int, tuple[int, ...]] = {}

    def next(self) -> tuple[Run, Sequence[Buffer], tuple[int, ...]]:
        """Wait for the next batch; return it with the places of the calls to leave out, as far as is known by now."""
        if self._batches:  # one that has been here for a while: meanwhile nobody may wait for it any more
            while (more := self._link.receive_nowait()) is not None:
                self._take(*more)
        while not self._batches or self._link.waiting:
            message, frames = self._link.receive()
            if not (self._batches or self._link.waiting) and isinstance(message, Run):
                return message, frames, ()
            self._take(message, frames)
        batch = next(iter(self._batches))
        message, frames = self._batches.pop(batch)
        skipped = self._skipped.pop(batch, ())
        return message, frames, skipped

    def _take(self, message: FromRouter, frames: Sequence[Buffer]) -> None:
        match message:
            case Run(batch=batch):
                self._batches[batch] = (message, frames)
            case Skip(batch=batch, places=places) if batch in self._batches:
                self._skipped[batch] = (*self._skipped.get(batch, ()), *places)


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


def run(
    runner: StageRunner, message: Run, frames: Sequence[Buffer], skipped: Collection[int] = ()
) -> tuple[Done, Sequence[Buffer]]:
    """Run one batch; the errors of single calls stand beside the results of the others."""
    started = time.perf_counter()
    if len(message.sizes) == 1 and not skipped:
        (result,) = runner.run((_arguments(runner, frames),))
        sent = _sent(runner, result)
        run_ms = (time.perf_counter() - started) * 1e3
        if isinstance(sent, str):
            return Done(batch=message.batch, run_ms=run_ms, sizes=(0,), errors={0: sent}), ()
        return Done(batch=message.batch, run_ms=run_ms, sizes=(len(sent),)), sent
    calls, left, position = [], [], 0
    for place, size in enumerate(message.sizes):
        if place not in skipped:
            calls.append(tuple(decode(frames[position : position + size])))
            left.append(place)
        position += size
    sizes = [0] * len(message.sizes)
    buffers: list[Buffer] = []
    errors: dict[int, str] = {}
    for place, result in zip(left, runner.run(calls) if calls else (), strict=True):
        sent = _sent(runner, result)
        if isinstance(sent, str):
            errors[place] = sent
        else:
            sizes[place] = len(sent)
            buffers += sent
    run_ms = (time.perf_counter() - started) * 1e3
    done = Done(batch=message.batch, run_ms=run_ms, sizes=tuple(sizes), errors=errors, skipped=tuple(skipped))
    return done, buffers


def _arguments(runner: StageRunner, frames: Sequence[Buffer]) -> tuple[Any, ...]:
    """Return the arguments of a call; where they may be used again, what was made of these frames before."""
    if not (runner.runs_no_code and isinstance(frames, Again)):
        return tuple(decode(frames))
    if frames.value is None:
        frames.value = tuple(decode(frames))
    value: tuple[Any, ...] = frames.value
    return value


def _sent(runner: StageRunner, result: Any) -> Sequence[Buffer] | str:
    """Return what to send of a call's result, or the error that it comes to."""
    if isinstance(result, StageError):
        return str(result)
    try:
        return encode(result)
    except EncodeError as error:
        return f"stage {runner.stage.name!r}: its result cannot travel: {error}"
