"""Simulates a plan under load: the scheduling core in virtual time."""

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence

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
    SplitCall,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.scheduling.state import CallRecord
from heterosis.simulation.failures import DeviceFailure, Failure, Slowdown
from heterosis.simulation.front import Front
from heterosis.simulation.kernel import Kernel
from heterosis.simulation.lives import Entered, Happening, Served, Tick, check_failures
from heterosis.simulation.machines import Machines
from heterosis.simulation.outcome import Outcome
from heterosis.simulation.progress import Running, Shape
from heterosis.simulation.service import Service
from heterosis.simulation.setting import Setting
from heterosis.simulation.workload import Arrival
from heterosis.terms import Call, Plan, Request

_DEFAULT = Setting()


class Simulator:
    """One run. Draws come from seeded generators, so equal arguments give equal outcomes."""

    def __init__(
        self,
        plan: Plan,
        *,
        seed: int = 0,
        bias: float = 1.0,
        service: Service | None = None,
        setting: Setting = _DEFAULT,
    ) -> None:
        """Simulate this plan. Run times are drawn from its operating points, or by ``service``.

        ``bias`` multiplies every run time (1.15: 15 % above profile).
        """
        plans = (plan, *(later for _, later in setting.plan_changes))
        self._steering = setting.steering
        instances = {placement.instance for each in plans for placement in each.placements}
        check_failures(setting.failures, instances)
        self.scheduler = Scheduler(plan)
        self._plan = plan
        self._setting = setting
        self._kernel: Kernel[Happening] = Kernel()
        self._machines = Machines(
            self.scheduler,
            self._kernel,
            plans=plans,
            service=service,
            setting=setting,
            seed=seed,
            bias=bias,
        )
        self._front = Front(plan.overhead, self._kernel, self._machines)
        self._now: deque[Event] = deque()
        """Events that happen at this very moment, in order."""
        self._shapes: dict[int, Shape] = {}
        self._alike = True
        """Whether all calls of a stage have the same work."""
        self._running: dict[str, Running] = {}
        self._refusal: Refusal | None = None
        self._occupancy = setting.occupancy
        self._wasted = 0.0
        """Joules of what was spent on requests that were not answered in time."""
        self._outcome = Outcome(slo=plan.slo)
        self._records = self._outcome.records
        self._decide = self._timed_decide if setting.timed else self.scheduler.handle

    def run(self, arrivals: Iterable[Arrival]) -> Outcome:
        """Simulate requests that arrive in this order of time, until the last has ended."""
        kernel, coming, soon, machines = self._kernel, self._kernel.coming, self._now, self._machines
        front = self._front
        arriving = ((each.at, each) for each in arrivals) if front.shares else front.passed(arrivals)
        self._handle(PlanChanged(plan=self._plan))
        machines.present()
        machines.begun()
        self._schedule()
        following, last, patience = next(arriving, None), 0.0, self._setting.patience_s
        while True:
            while soon:
                self._handle(soon.popleft())
            next_at = coming[0][0] if coming else math.inf
            if following is not None and following[0] <= next_at:
                last = following[0]
                kernel.now = max(last, kernel.now)
                if front.shares:
                    front.take(following[1])
                else:
                    self._arrive(*following)
                following = next(arriving, None)
            elif following is None and not self._running and not machines.running and not front.holds:
                break
            elif (following is None and self._running and next_at > last + patience) or (
                event := kernel.next()
            ) is None:
                self._give_up()
            elif type(event) is BatchDone:
                self._batch_done(event)
            else:
                self._happen(event)
        return self._close()

    def _schedule(self) -> None:
        """Set what is to happen whatever comes."""
        kernel, setting = self._kernel, self._setting
        for failure in setting.failures:
            kernel.at(failure.at_s, failure)
        for each in setting.device_failures:
            kernel.at(each.at_s, each)
        for slowdown in setting.slowdowns:
            kernel.at(slowdown.at_s, slowdown)
        for at, plan in setting.plan_changes:
            kernel.at(at, PlanChanged(plan=plan))
        if self._steering is not None:
            kernel.at(self._steering.tick_s, Tick())

    def _arrive(self, at: float, arrival: Arrival) -> None:
        records = self._records
        number = len(records)
        limit_ms = self._plan.slo.latency_ms
        limit_s = (limit_ms if arrival.latency_ms is None else arrival.latency_ms) / 1e3
        request = Request(
            id=f"r{number}",
            pipeline=arrival.pipeline or self._plan.pipeline,
            arrival=at,
            deadline=at + limit_s,
            request_class=arrival.request_class,
            size=arrival.size,
            divisible=arrival.divisible,
        )
        records.arrived(arrival, limit_s)
        running = self._running[request.id] = self._begun(number, request, arrival)
        call = self._call(running, 0) if running.shape.single else None
        self._handle(RequestArrived(request=request, call=call))
        if self._refusal is not None:
            del self._running[request.id]
            records.refused(number, self._refusal)
            self._refusal = None
        elif not running.calls_left:
            self._end(running)
        elif call is None:
            self._calls_ready(running, running.shape.roots)

    def _happen(self, event: Happening) -> None:
        """Take what is neither an arrival nor the end of a batch."""
        if isinstance(event, Served):
            self._front.served()
        elif isinstance(event, Entered):
            self._arrive(self._kernel.now, self._front.entered(event))
        elif isinstance(event, Tick):
            self._tick()
        elif isinstance(event, Failure):
            self._fail(event)
        elif isinstance(event, DeviceFailure):
            for failure in self._machines.fail_device(event):
                self._fail(failure)
        elif isinstance(event, Slowdown):
            self._machines.slow(event)
        elif not isinstance(event, InstanceReady) or self._machines.is_ready(event):
            self._handle(event)
            if isinstance(event, InstanceDown | PlanChanged):
                self._machines.present()

    def _tick(self) -> None:
        """Ask what steers the run, and again later."""
        assert self._steering is not None  # noqa: S101
        kernel = self._kernel
        for plan in self._steering.tick(kernel.now):
            self._handle(PlanChanged(plan=plan))
            self._machines.present()
        kernel.at(kernel.now + self._steering.tick_s, Tick())

    def _handle(self, event: Event) -> None:
        effects = self._decide(event, self._kernel.now)
        if self._steering is not None:
            self._steering.observe(Record(at=self._kernel.now, event=event, effects=tuple(effects)))
        for effect in effects:
            if type(effect) is RunBatch:
                self._run(effect)
            else:
                self._execute(effect)
        if self._occupancy is not None:
            self._occupancy.queues(self._kernel.now, self.scheduler.queues)

    def _timed_decide(self, event: Event, now: float) -> list[Effect]:
        started = time.perf_counter()
        effects = self.scheduler.handle(event, now)
        self._outcome.decision_s.append(time.perf_counter() - started)
        return effects

    def _execute(self, effect: Effect) -> None:
        machines = self._machines
        match effect:
            case StartInstance(placement=placement):
                machines.start(placement)
            case StopInstance(instance=instance):
                machines.stop(instance)
            case SetTimer(at=at, key=key):
                self._kernel.at(at, TimerFired(key=key))
            case SetPowerMode(node=node, device=device, mode=mode):
                machines.switch((node, device), mode)
            case RefuseRequest(request=request, kind=kind, reason=reason):
                self._refusal = kind
                self._tell_drop(request, kind, reason)
            case SplitCall():
                self._split(effect)
            case DropCall(request=request, kind=kind, reason=reason):
                self._drop(request, kind, reason)

    def _split(self, effect: SplitCall) -> None:
        running, position = self._running[effect.request], _position(effect.call)
        running.parts_left[position] = running.parts_left.get(position, 1) + len(effect.parts) - 1
        running.waited_s -= (len(effect.parts) - 1) * self._kernel.now

    @staticmethod
    def _whole(running: Running, position: int) -> bool:
        """Count a part of a call that is done, if it is one; return whether nothing is left of the call."""
        left = running.parts_left[position] = running.parts_left.get(position, 1) - 1
        return not left

    # --- batches

    def _run(self, effect: RunBatch) -> None:
        batch = self._machines.batch(effect)
        begin = self._machines.run(effect, batch, 1.0 if self._alike else self._work(batch.calls))
        for record in batch.calls:
            running = self._running.get(record.request.id)
            if running is not None:  # else a call of it was dropped by the same decision
                running.waited_s += begin

    def _work(self, calls: Iterable[CallRecord]) -> float:
        """The work of a batch, over that of one of as many items on average."""
        done = items = 0.0
        for record in calls:
            running = self._running.get(record.request.id)
            work = 1.0 if running is None else running.shape.work[_position(record.call.id)]
            done += work * record.call.size
            items += record.call.size
        return done / items

    def _batch_done(self, event: BatchDone) -> None:
        flight = self._machines.landed(event.batch)
        if flight is None:  # its instance failed meanwhile
            return
        self._handle(event)
        joules = self._machines.spend(flight, flight.run_s, "done") / flight.size
        for record in flight.calls:
            running = self._running.get(record.request.id)
            if running is None:
                self._wasted += joules * record.call.size
                continue
            running.joules += joules * record.call.size
            if running.parts_left and not self._whole(running, _position(record.call.id)):
                continue
            running.calls_left -= 1
            if running.calls_left:
                self._call_done(running, record.call.id)
            else:
                self._end(running)

    def _fail(self, failure: Failure) -> None:
        lost = self._machines.fail(failure)
        if lost is None:
            return
        now, unit = self._kernel.now, self.scheduler.instances[failure.instance].unit
        for flight, joules in lost:
            self._wasted += joules
            for record in flight.calls:
                running = self._running.get(record.request.id)
                if running is not None:
                    running.waited_s -= max(flight.begin, now)
        self._handle(InstanceDown(instance=failure.instance, reason="failed"))
        self._machines.present(lost=unit)

    # --- requests

    def _begun(self, number: int, request: Request, arrival: Arrival) -> Running:
        traced = arrival.shape
        shape = self._shapes.get(id(traced))
        if shape is None:
            shape = self._shapes[id(traced)] = Shape(traced)
            self._alike &= all(work == 1 for work in shape.work)
        return Running(number, request, arrival.at, shape, shape.parents.copy(), len(shape.stages))

    def _call(self, running: Running, position: int) -> Call:
        """One of a request's calls, which is ready now."""
        running.waited_s -= self._kernel.now
        request, stage = running.request, running.shape.stages[position]
        return Call(id=f"{request.id}/{position}", request=request.id, stage=stage, size=request.size)

    def _calls_ready(self, running: Running, positions: Sequence[int]) -> None:
        for left, position in zip(reversed(range(len(positions))), positions, strict=True):
            self._now.append(CallReady(call=self._call(running, position), more=left > 0))

    def _call_done(self, running: Running, call: str) -> None:
        """Let the calls be ready that waited for nothing but this one."""
        ready, waits_for = [], running.waits_for
        for child in running.shape.children[_position(call)]:
            waits_for[child] -= 1
            if not waits_for[child]:
                ready.append(child)
        self._calls_ready(running, ready)

    def _end(self, running: Running) -> None:
        request = running.request
        del self._running[request.id]
        latency_s = self._kernel.now - running.arrived
        if not self._records.answered(running.number, latency_s, running.waited_s):
            self._wasted += running.joules
        if running.parts_left or not running.shape.single:
            self._now.append(RequestEnded(request=request.id, outcome="answered"))

    def _drop(self, request: str, kind: Refusal, reason: str) -> None:
        running = self._running.pop(request, None)
        if running is not None:
            self._records.refused(running.number, kind)
            self._wasted += running.joules
            self._now.append(RequestEnded(request=request, outcome="failed"))
            self._tell_drop(request, kind, reason)

    def _give_up(self) -> None:
        """End the requests for which nothing will ever happen again: what they need is down for good."""
        for request in list(self._running):
            self._drop(request, Refusal.UNAVAILABLE, "nothing is left that could run it")

    def _tell_drop(self, request: str, kind: Refusal, reason: str) -> None:
        if self._occupancy is not None:
            self._occupancy.drop(self._kernel.now, request, kind.value, reason)

    def _close(self) -> Outcome:
        outcome = self._outcome
        outcome.duration_s = self._kernel.now
        outcome.joules = joules = self._machines.total(self._plan.overhead.energy * outcome.requests, self._wasted)
        outcome.dynamic_joules, outcome.wasted_joules = joules.dynamic.joules, joules.wasted.joules
        return outcome


def _position(call: str) -> int:
    """Which of its request's calls one is, or is a part of."""
    return int(call.split("/")[1])
