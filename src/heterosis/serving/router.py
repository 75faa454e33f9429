"""The router: drives the scheduling core in real time, between the pipelines that it hosts and their workers.

One core, under one plan, serves all of them, so that they share devices by one set of rules. What changes what runs,
for whatever reason, is a change of that plan (`Router.change_plan`).
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from heterosis.engines.emulated import EmulatedEngine
from heterosis.launch import Launcher
from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Effect,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    Record,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    Scheduler,
    SetPowerMode,
    SetTimer,
    SkipCalls,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.scheduling.states import InstanceState
from heterosis.serving import watchdog
from heterosis.serving.messages import Assignment, Done, Ready, Run, Skip
from heterosis.serving.power import PowerModes, Switches
from heterosis.serving.statistics import Statistics
from heterosis.serving.transport import SharedMemory
from heterosis.serving.values import Buffer, DecodeError, decode, encode
from heterosis.serving.workers import Brief, Workers
from heterosis.terms import Call, OperatingPoint, Placement, Plan, Request, Variant
from heterosis.terms.errors import (
    DeadlineError,
    HeterosisError,
    RefusedError,
    StageError,
    StalePlanError,
    UnavailableError,
    UsageError,
)
from heterosis.terms.joining import NOTHING, bare_name, between, key_of

log = structlog.get_logger()

TICK_S = 1e-3
"""An event loop's resolution: it may call that much too early."""

MOST_FAILED_STARTS = 3

WarmUp = Callable[[Placement, Sequence[OperatingPoint]], Sequence[Sequence[tuple[Any, ...]]]]
"""Gives the batches of calls' arguments that an instance runs before it serves; the points tell how long they take."""

VariantFor = Callable[[Placement, Variant], Variant]

_ERRORS: dict[Refusal, type[HeterosisError]] = {
    Refusal.OVERLOAD: RefusedError,
    Refusal.LATE: DeadlineError,
    Refusal.UNAVAILABLE: UnavailableError,
    Refusal.POISON: StageError,
}


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that a router hosts: its stages by the names that they have in the plan, and what its workers need."""

    stages: tuple[str, ...]
    target: str
    """Where workers load it from."""
    warm_up: WarmUp
    statistics: Statistics
    variant_for: VariantFor | None = None
    """What the worker of a placement loads, where that is not the plan's variant as it is."""


class OpenCall(msgspec.Struct):
    """A call on its way: its encoded arguments, and who awaits the result."""

    frames: Sequence[Buffer]
    result: asyncio.Future[Any]
    since: float


class Router:
    """Admits requests of the pipelines that it hosts, and sends their calls to workers, as the scheduling core says."""

    def __init__(
        self,
        launcher: Launcher,
        *,
        record: Callable[[Record], object] | None = None,
        power_modes: PowerModes | None = None,
    ) -> None:
        """Host nothing yet; ``record`` is given every step taken, ``power_modes`` sets those that policies choose."""
        self.scheduler = Scheduler(NOTHING)
        self.hosted: Mapping[str, Hosted] = {}
        """By key."""
        self.emulated: frozenset[str] = frozenset()
        """Stages of which an instance only pretends: its answers are worth nothing but their times."""
        self.alive: Counter[str] = Counter()
        """Instances of each stage that are ready."""
        self._record = record
        self._switches = Switches(power_modes)
        self.workers = Workers(launcher, self)
        self._stages: dict[str, Hosted] = {}
        self._request_ids = itertools.count(1)
        self._calls: dict[str, OpenCall] = {}
        self._batches: dict[int, tuple[str, ...]] = {}
        self._refused: dict[str, HeterosisError] = {}
        self._ready: dict[str, str] = {}
        """Instances that are, with their stage."""
        self._failed: dict[str, str] = {}
        """Why instances cannot load."""
        self._news = asyncio.Event()
        self._changing = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self.patience_s = watchdog.PATIENCE_S
        """How long a batch may run, however short it should be, before its worker is taken to hang."""

    # --- life

    async def start(self, address: str, memory: SharedMemory | None = None) -> None:
        """Listen for workers at an address; those on this host share memory, where there is some."""
        await self.workers.listen(address, memory)
        self._put_in_force(NOTHING)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop every worker. Requests in progress are answered with an error."""
        if self._watching is not None:
            self._watching.cancel()
        for call in self._calls.values():
            if not call.result.done():
                call.result.set_exception(UnavailableError("the server is stopping"))
        await asyncio.sleep(0)
        self._put_in_force(msgspec.structs.replace(self.plan, placements=()))
        await self.workers.close()
        await self._switches.close()

    async def _watch(self) -> None:
        """End workers that hang; what they held runs elsewhere, or again."""
        ended: dict[str, int] = {}
        while True:
            await asyncio.sleep(watchdog.PERIOD_S)
            for name, ran_s in watchdog.hung(self.scheduler.instances.values(), time.monotonic(), self.patience_s):
                batch = self.scheduler.instances[name].batches[0].id
                if ended.get(name) != batch:
                    ended[name] = batch
                    log.error("instance hangs: ending it", instance=name, batch_s=round(ran_s, 1))
                    self.workers.stop(name)

    # --- what is hosted, and the plan

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.scheduler.plan

    def free_key(self, name: str) -> str:
        """Return a key for a pipeline of this name that nothing has, nor an instance that has yet to end."""
        taken = {*self.hosted, *(key_of(each.configuration.stage) for each in self.scheduler.instances.values())}
        numbered = (f"{name}@{number}" for number in itertools.count(2))
        return next(key for key in itertools.chain((name,), numbered) if key not in taken)

    async def change_plan(
        self,
        plan: Plan,
        *,
        since: Plan | None = None,
        hosted: Mapping[str, Hosted] | None = None,
        wait: bool = True,
    ) -> None:
        """Put a plan in force, make before break: what it adds is ready before what it leaves out is drained.

        Return once everything added is ready; without ``wait``, put it in force at once, and leave it to the caller to
        wait (`wait_ready`). Changes wait for each other. ``hosted`` is what is hosted from then on, where that changes.

        Raise StalePlanError where the plan in force is no longer ``since``, which this one was made from; UsageError
        where it does not fit what is hosted or what runs; UnavailableError where an instance cannot load, and then the
        plan that was in force stays so.
        """
        async with self._changing:
            before, hosted_before = self.plan, self.hosted
            if since is not None and before is not since:
                raise StalePlanError("the plan in force has changed meanwhile; make the new one from that")
            hosted = hosted_before if hosted is None else hosted
            self._check(plan, hosted)
            await self._until(lambda: not self._ending(plan))
            self._host({**hosted_before, **hosted})
            known = {placement.instance for placement in before.placements}
            added = [placement for placement in plan.placements if placement.instance not in known]
            if wait and added:
                points = tuple(dict.fromkeys((*before.points, *plan.points)))
                self._put_in_force(between(before, plan, (*before.placements, *added), points))
                try:
                    await self.wait_ready(placement.instance for placement in added)
                except BaseException:
                    self._host(hosted_before)
                    self._put_in_force(before)
                    raise
            self._host(hosted)
            self._put_in_force(plan)

    async def wait_ready(self, instances: Iterable[str] | None = None) -> None:
        """Wait until instances, by default all that are planned, are loaded and warm; raise where one cannot be."""
        wanted = {each.instance for each in self.plan.placements} if instances is None else set(instances)

        def ready() -> bool:
            for instance in wanted:
                if reason := self._failed.get(instance):
                    raise UnavailableError(f"instance {instance} cannot load: {reason}")
                record = self.scheduler.instances.get(instance)
                if record is not None and record.failures >= MOST_FAILED_STARTS and instance not in self._ready:
                    raise UnavailableError(f"instance {instance} ended {record.failures} times before it was ready")
            return self._ready.keys() >= wanted

        await self._until(ready)

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():
            self._news.clear()
            await self._news.wait()

    def _host(self, hosted: Mapping[str, Hosted]) -> None:
        self.hosted = hosted
        self._stages = {stage: each for each in hosted.values() for stage in each.stages}

    def _check(self, plan: Plan, hosted: Mapping[str, Hosted]) -> None:
        planned = {placement.configuration.stage for placement in plan.placements}
        needed = {stage for each in hosted.values() for stage in each.stages}
        if planned != needed:
            raise UsageError(
                f"the plan has instances of the stages {sorted(planned)}, but what is hosted has {sorted(needed)}: "
                "plan it anew"
            )
        for placement in plan.placements:
            record = self.scheduler.instances.get(placement.instance)
            if record is not None and not (record.placement == placement or record.may_become(placement)):
                raise UsageError(f"instance {placement.instance!r} runs with another placement; plan it by a new name")

    def _ending(self, plan: Plan) -> bool:
        """Whether an instance that a plan wants is on its way out: only once it is gone can it come again."""
        states = (self.scheduler.instances.get(placement.instance) for placement in plan.placements)
        return any(record is not None and record.state is InstanceState.STOPPING for record in states)

    def _put_in_force(self, plan: Plan) -> None:
        emulated = frozenset(
            each.configuration.stage
            for each in plan.placements
            if plan.variant(each.configuration).engine == EmulatedEngine.name
        )
        if emulated - self.emulated:
            log.warning("some instances are emulated: their answers are worth nothing but their times")
        self.emulated = emulated
        self._handle(PlanChanged(plan=plan))

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
        self._handle(RequestArrived(request=request))
        refused = self._refused.pop(request.id, None)
        if refused is not None:
            raise refused
        return request

    def end(self, request: Request, outcome: str) -> None:
        """Let go of a request, and of its calls that still wait."""
        self._handle(RequestEnded(request=request.id, outcome=outcome))

    async def run_call(self, call: Call, frames: Sequence[Buffer], timeout_s: float | None = None) -> Any:
        """Send one call, its arguments encoded, through the scheduler and wait for its result.

        Raise TimeoutError where it is not there after so long.
        """
        loop = asyncio.get_running_loop()
        opened = OpenCall(frames, loop.create_future(), time.monotonic())
        self._calls[call.id] = opened
        expiry = None if timeout_s is None else loop.call_later(timeout_s, self._fail, call.id, TimeoutError())
        try:
            self._handle(CallReady(call=call))
            return await opened.result
        finally:
            if expiry is not None:
                expiry.cancel()
            del self._calls[call.id]

    # --- effects

    def _handle(self, event: Event) -> None:
        now = time.monotonic()
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
                places = self._batches[effect.batch]
                skip = Skip(batch=effect.batch, places=tuple(places.index(call) for call in effect.calls))
                self.workers.send(effect.instance, skip)
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
        self._batches[effect.batch] = effect.calls
        sizes: list[int] = []
        frames: list[Buffer] = []
        waited_s = 0.0
        for call in effect.calls:
            held = self._calls[call]
            sizes.append(len(held.frames))
            frames += held.frames
            waited_s += now - held.since
        placement = self.scheduler.instances[effect.instance].placement
        hosted = self._stages.get(placement.configuration.stage)
        if hosted is not None:
            hosted.statistics.dispatched(len(effect.calls), waited_s)
        message = Run(batch=effect.batch, sizes=tuple(sizes))
        self._switches.when_settled(placement.node, placement.device, self._send, effect.instance, message, frames)

    def _send(self, instance: str, message: Run, frames: Sequence[Buffer]) -> None:
        if message.batch in self._batches:  # the instance may have died while its device changed its mode
            self.workers.send(instance, message, frames)

    def _fail(self, call: str, error: Exception) -> None:
        held = self._calls.get(call)
        if held is not None and not held.result.done():
            held.result.set_exception(error)

    # --- what becomes of workers

    def brief(self, placement: Placement) -> Brief:
        """See `Listener`."""
        configuration = placement.configuration
        hosted = self._stages[configuration.stage]
        batches = hosted.warm_up(placement, self.plan.points)
        variant = self.plan.variant(configuration)
        return Brief(
            assignment=Assignment(
                pipeline=hosted.target,
                stage=bare_name(configuration.stage),
                variant=variant if hosted.variant_for is None else hosted.variant_for(placement, variant),
                threads=configuration.threads,
            ),
            warm_up=encode([list(batch) for batch in batches]),
        )

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

    def batch_done(self, done: Done, frames: list[Buffer]) -> None:
        """See `Listener`."""
        calls = self._batches.pop(done.batch)
        hosted = self._stages.get(self.scheduler.batches[done.batch].configuration.stage)
        if hosted is not None:
            hosted.statistics.ran(len(calls) - len(done.skipped), done.run_ms / 1e3)
        position = 0
        failed = []
        for place, (call, size) in enumerate(zip(calls, done.sizes, strict=True)):
            held = self._calls.get(call)
            error = done.errors.get(place)
            if place in done.skipped:
                continue
            if error is not None:
                failed.append(call)
                self._fail(call, StageError(error))
            elif held is not None and not held.result.done():
                try:
                    held.result.set_result(decode(frames[position : position + size]))
                except DecodeError as malformed:
                    held.result.set_exception(StageError(f"a worker's result cannot be read: {malformed}"))
            position += size
        skipped = tuple(calls[place] for place in done.skipped)
        self._handle(BatchDone(batch=done.batch, run_ms=done.run_ms, failed=tuple(failed), skipped=skipped))


def _refusal(effect: RefuseRequest) -> HeterosisError:
    error = _ERRORS[effect.kind](effect.reason)
    if isinstance(error, RefusedError):
        error.retry_after_s = effect.retry_after_s
    return error
