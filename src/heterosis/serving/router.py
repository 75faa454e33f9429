"""The router: drives the scheduling core in real time, between the pipelines that it hosts and their workers.

One core, under one plan, serves all of them, so that they share devices by one set of rules. What is hosted, and the
plan, are the part of it that `hosting` has.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

import msgspec
import structlog

from heterosis.launch import Launcher
from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Effect,
    Event,
    InstanceDown,
    InstanceReady,
    Record,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    SetPowerMode,
    SetTimer,
    SkipCalls,
    SplitCall,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.serving import watchdog
from heterosis.serving.hosting import Hosting
from heterosis.serving.messages import Done, Ready, Run, Skip
from heterosis.serving.parts import Joint, cut
from heterosis.serving.power import PowerModes, Switches
from heterosis.serving.rhythm import next_beat
from heterosis.serving.transport import SharedMemory
from heterosis.serving.transport.framing import Frames, Part
from heterosis.serving.values import Buffer
from heterosis.serving.workers import Workers
from heterosis.terms import Call, Request
from heterosis.terms.errors import (
    DeadlineError,
    HeterosisError,
    RefusedError,
    StageError,
    UnavailableError,
)
from heterosis.terms.joining import NOTHING

log = structlog.get_logger()

TICK_S = 1e-3
"""An event loop's resolution: it may call that much too early."""

_ERRORS: dict[Refusal, type[HeterosisError]] = {
    Refusal.OVERLOAD: RefusedError,
    Refusal.LATE: DeadlineError,
    Refusal.UNAVAILABLE: UnavailableError,
    Refusal.POISON: StageError,
}


Result = Sequence[bytes | memoryview] | Exception
"""The frames of a call's result, or why there is none."""


class OpenCall(msgspec.Struct):
    """A call on its way: its encoded arguments, and who is told its result."""

    frames: Frames
    done: Callable[[Result], object]
    since: float
    until: float = inf
    """When it ends with a TimeoutError, within a second or so."""


class Router(Hosting):
    """Admits requests of the pipelines that it hosts, and sends their calls to workers, as the scheduling core says."""

    def __init__(
        self,
        launcher: Launcher,
        *,
        record: Callable[[Record], object] | None = None,
        power_modes: PowerModes | None = None,
    ) -> None:
        """Host nothing yet; ``record`` is given every step taken, ``power_modes`` sets those that policies choose."""
        super().__init__()
        self._record = record
        self._switches = Switches(power_modes)
        self.workers = Workers(launcher, self)
        self._request_ids = itertools.count(1)
        self._calls: dict[str, OpenCall] = {}
        self._gathered: list[Call] = []
        """Calls that were opened in this turn of the loop, maybe side by side."""
        self._parts: dict[str, list[str]] = {}
        """Of the calls that were split, by request: calls that are open themselves."""
        self._batches: dict[int, tuple[tuple[str, ...], float]] = {}
        """The calls of each, and how long they had waited together."""
        self._refused: dict[str, HeterosisError] = {}
        self._watching: asyncio.Task[None] | None = None
        self.patience_s = watchdog.PATIENCE_S
        """How long a batch may run, however short it should be, before its worker is taken to hang."""

    # --- life

    async def start(self, address: str, memory: SharedMemory | None = None) -> None:
        """Listen for workers at an address; those on this host share memory, where there is some."""
        await self.workers.listen(address, memory)
        self._put_in_force(NOTHING, "nothing is served yet")
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop every worker. Requests in progress are answered with an error."""
        if self._watching is not None:
            self._watching.cancel()
        for call in list(self._calls):
            self._tell(call, UnavailableError("the server is stopping"))
        await asyncio.sleep(0)
        self._put_in_force(msgspec.structs.replace(self.plan, placements=()), "the server stops")
        await self.workers.close()
        await self._switches.close()

    async def _watch(self) -> None:
        """Give up calls that nobody waits for any longer, and end workers that hang: what they held runs elsewhere."""
        ended: dict[str, int] = {}
        while True:
            await next_beat(watchdog.PERIOD_S)
            now = time.monotonic()
            for name in [name for name, call in self._calls.items() if call.until < now]:
                self._fail(name, TimeoutError())
            for name, ran_s in watchdog.hung(self.scheduler.instances.values(), now, self.patience_s):
                batch = self.scheduler.instances[name].batches[0].id
                if ended.get(name) != batch:
                    ended[name] = batch
                    log.error("instance hangs: ending it", instance=name, batch_s=round(ran_s, 1))
                    self.workers.stop(name)

    # --- requests

    def admit(self, pipeline: str, limit_s: float, request_class: str, size: int = 1) -> Request:
        """Let a request in whose deadline is so far away. Raise what says why not."""
        now = time.monotonic()
        request = Request(
            id=f"r{next(self._request_ids)}",
            pipeline=pipeline,
            arrival=now,
            deadline=now + limit_s,
            request_class=request_class,
            size=size,
        )
        self._step(RequestArrived(request=request), now)
        if self._refused:
            raise self._refused.pop(request.id)
        return request

    def ask(
        self,
        pipeline: str,
        limit_s: float,
        request_class: str,
        size: int,
        stage: str,
        only: OpenCall,
        *,
        divisible: bool,
    ) -> tuple[Request, str]:
        """Let a request in with its only call, which was opened just now; return that call's name, too.

        It ends with the result of the call, of which see `open_call`, or before by `end`. Raise as `admit` does.
        """
        name, now = f"r{next(self._request_ids)}", only.since
        request = Request(
            id=name,
            pipeline=pipeline,
            arrival=now,
            deadline=now + limit_s,
            request_class=request_class,
            size=size,
            divisible=divisible and size > 1,
        )
        call = Call(id=f"{name}/0", request=name, stage=stage, size=size)
        self._calls[call.id] = only
        self._step(RequestArrived(request=request, call=call), now)
        if self._refused:
            del self._calls[call.id]
            raise self._refused.pop(name)
        return request, call.id

    def end(self, request: Request, outcome: str, call: str = "") -> None:
        """Let go of a request, unless it has ended with its only call, and of its calls that still wait.

        ``call`` is one to close before.
        """
        self._calls.pop(call, None)
        if self._parts:
            for part in self._parts.pop(request.id, ()):
                self._calls.pop(part, None)
        if request.id in self.scheduler.requests:
            self._handle(RequestEnded(request=request.id, outcome=outcome))

    def open_call(
        self,
        call: Call,
        frames: Frames,
        done: Callable[[Result], object],
    ) -> None:
        """Send one call, its arguments encoded, through the scheduler.

        It waits for those that others make in the same turn of the loop, a gather's say: decided on one by one, the
        first of them would go in a batch of its own.

        ``done`` is called once with what came of it, unless the call is closed before; never while this runs. In the
        end the call is to be closed.
        """
        self._calls[call.id] = OpenCall(frames, done, time.monotonic())
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._gathered.append(call)

    def close_call(self, call: str) -> None:
        """Let go of a call. Where its result is not there yet, its request must end before anything else is done."""
        self._calls.pop(call, None)

    def _hand_over(self) -> None:
        """Let the calls of this turn be ready, but for those that are moot already."""
        calls = [each for each in self._gathered if each.id in self._calls and each.request in self.scheduler.requests]
        self._gathered.clear()
        for left, call in zip(reversed(range(len(calls))), calls, strict=True):
            self._handle(CallReady(call=call, more=left > 0))

    # --- effects

    def _handle(self, event: Event) -> None:
        self._step(event, time.monotonic())

    def _step(self, event: Event, now: float) -> None:
        effects = self.scheduler.handle(event, now)
        if self._record is not None:
            self._record(Record(at=now, event=event, effects=tuple(effects)))
        for effect in effects:
            if type(effect) is RunBatch:
                self._run_batch(effect, now)
            else:
                self._execute(effect)

    def _execute(self, effect: Effect) -> None:
        match effect:
            case SkipCalls():
                places, _ = self._batches[effect.batch]
                skip = Skip(batch=effect.batch, places=tuple(places.index(call) for call in effect.calls))
                self.workers.peers[effect.instance].send(skip)
            case SplitCall():
                self._split(effect)
            case DropCall():
                self._fail(effect.call, _ERRORS[effect.kind](effect.reason))
            case RefuseRequest():
                self._refused[effect.request] = _refusal(effect)
            case StartInstance():
                self.workers.start(effect.placement, self.plan.variant(effect.placement.configuration))
            case StopInstance():
                self.workers.stop(effect.instance)
            case SetPowerMode():
                self._switches.switch(effect)
            case SetTimer():
                self._set_timer(effect)

    def _split(self, effect: SplitCall) -> None:
        """Open the parts of a call; it stays open itself, and hears what comes of them."""
        whole = self._calls[effect.call]
        sizes = [part.size for part in effect.parts]
        joint = Joint(sizes, partial(self._tell, effect.call))
        for place, (part, frames) in enumerate(zip(effect.parts, cut(whole.frames, sizes), strict=True)):
            self._calls[part.id] = OpenCall(frames, partial(joint.told, place), whole.since)
            self._parts.setdefault(effect.request, []).append(part.id)

    def _set_timer(self, timer: SetTimer) -> None:
        delay = max(timer.at - time.monotonic(), TICK_S)
        asyncio.get_running_loop().call_later(delay, self._fire, timer)

    def _fire(self, timer: SetTimer) -> None:
        """Tell that it is time, but not before it is: what is not due yet would wait for a timer that is gone."""
        if time.monotonic() < timer.at:
            self._set_timer(timer)
        else:
            self._handle(TimerFired(key=timer.key))

    def _run_batch(self, effect: RunBatch, now: float) -> None:
        sizes: list[int] = []
        frames: list[Buffer | Part] = []
        waited_s = 0.0
        for call in effect.calls:
            held = self._calls[call]
            sizes.append(len(held.frames))
            frames += held.frames
            waited_s += now - held.since
        self._batches[effect.batch] = effect.calls, waited_s
        message = Run(batch=effect.batch, sizes=tuple(sizes))
        if self._switches.under_way:
            placement = self.scheduler.instances[effect.instance].placement
            self._switches.when_settled(placement.node, placement.device, self._send, effect.instance, message, frames)
        else:
            self.workers.peers[effect.instance].send(message, frames)

    def _send(self, instance: str, message: Run, frames: Frames) -> None:
        if message.batch in self._batches:  # the instance may have died while its device changed its mode
            self.workers.peers[instance].send(message, frames)

    def _fail(self, call: str, error: Exception) -> None:
        """Tell that a call has failed, but not before all effects of what is being handled are executed."""
        asyncio.get_running_loop().call_soon(self._tell, call, error)

    def _tell(self, call: str, result: Result) -> None:
        held = self._calls.get(call)
        if held is not None:
            done, held.done = held.done, _told
            done(result)

    # --- what becomes of workers

    def instance_ready(self, instance: str, ready: Ready) -> None:
        """See `Listener`."""
        stage = self.scheduler.instances[instance].configuration.stage
        self._failed.pop(instance, None)
        self._ready[instance] = stage
        self.alive[stage] += 1
        self._handle(InstanceReady(instance=instance, load_ms=ready.load_ms + ready.warm_up_ms))
        self._news.set()

    def instance_failed(self, instance: str, reason: str) -> None:
        """See `Listener`."""
        self._failed[instance] = reason
        self._news.set()

    def instance_down(self, instance: str, reason: str) -> None:
        """See `Listener`."""
        stage = self._ready.pop(instance, None)
        if stage is not None:
            self.alive[stage] -= 1
        for batch in self.scheduler.instances[instance].batches:
            del self._batches[batch.id]
        self._handle(InstanceDown(instance=instance, reason=reason))
        if instance not in self.scheduler.instances:
            self._failed.pop(instance, None)
        self._news.set()

    def batch_done(self, done: Done, frames: Sequence[bytes | memoryview]) -> None:
        """See `Listener`."""
        calls, waited_s = self._batches.pop(done.batch)
        hosted = self._stages.get(self.scheduler.batches[done.batch].configuration.stage)
        if hosted is not None:
            hosted.statistics.ran(len(calls) - len(done.skipped), waited_s, done.run_ms / 1e3)
        skipped = tuple(calls[place] for place in done.skipped) if done.skipped else ()
        failed = tuple(calls[place] for place in done.errors) if done.errors else ()
        # First of all the instance gets its next batch.
        event = BatchDone(batch=done.batch, run_ms=done.run_ms, failed=failed, skipped=skipped)
        self._step(event, time.monotonic())
        if len(done.sizes) != len(calls):
            raise ValueError(f"batch {done.batch} has {len(calls)} calls, and results of {len(done.sizes)} came")
        position = 0
        for place, call in enumerate(calls):
            size = done.sizes[place]
            if place not in done.skipped and (held := self._calls.pop(call, None)) is not None:
                error = done.errors.get(place)
                held.done(frames[position : position + size] if error is None else StageError(error))
            position += size


def _told(_: Result) -> None:
    """Take what is heard of a call that was told a result before."""


def _refusal(effect: RefuseRequest) -> HeterosisError:
    error = _ERRORS[effect.kind](effect.reason)
    if isinstance(error, RefusedError):
        error.retry_after_s = effect.retry_after_s
    return error
