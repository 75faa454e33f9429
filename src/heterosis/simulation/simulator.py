"""Simulates a plan under load: the scheduling core in virtual time."""

import math
import time
from collections import deque
from collections.abc import Iterable

import msgspec
import numpy as np

from heterosis.control.energy import DynamicPower, Joules
from heterosis.control.power import Meter
from heterosis.control.speeds import profiled
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
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.scheduling.state import CallRecord, Unit
from heterosis.scheduling.states import InstanceState
from heterosis.simulation.failures import DeviceFailure, Failure, Slowdown
from heterosis.simulation.front import Front
from heterosis.simulation.kernel import Kernel
from heterosis.simulation.lives import Happening, Lives, Tick, check_failures
from heterosis.simulation.outcome import Outcome
from heterosis.simulation.progress import Flight, Running, Shape
from heterosis.simulation.service import MeasuredTimes, Service
from heterosis.simulation.setting import Setting
from heterosis.simulation.workload import Arrival
from heterosis.terms import Call, Plan, Request

_ALIVE = {InstanceState.STARTING, InstanceState.READY, InstanceState.DRAINING}
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
        steered = () if self._steering is None else self._steering.points
        profiles = [*(each.points for each in plans), steered]
        points = {(point.configuration, point.batch): point for of in profiles for point in of}
        measured = msgspec.structs.replace(plan, points=tuple(points.values()))
        instances = {placement.instance for each in plans for placement in each.placements}
        check_failures(setting.failures, instances)
        self.scheduler = Scheduler(plan)
        self._plan = plan
        self._rng = np.random.default_rng(seed)
        self._service = service or MeasuredTimes(measured)
        self._own = 1 - plan.overhead.share(plan.rate_rps)
        """Share of the instances' cores that the server leaves them."""
        self._bias = bias / self._own
        self._setting = setting
        self._kernel: Kernel[Happening] = Kernel()
        self._now: deque[Event] = deque()
        """Events that happen at this very moment, in order."""
        self._shapes: dict[int, Shape] = {}
        self._alike = True
        """Whether all calls of a stage have the same work."""
        self._running: dict[str, Running] = {}
        self._flights: dict[int, Flight] = {}
        self._busy_until: dict[str, float] = {}
        self._slow: dict[Unit, float] = {}
        """Devices that take so many times as long as profiled."""
        self._refusal: Refusal | None = None
        self._lives = Lives(self._kernel, measured.points, setting.random_failures)
        self._network, self._occupancy = setting.network, setting.occupancy
        self._meter = None if setting.power is None else Meter(setting.power, plans)
        self._dynamic = DynamicPower(measured.points)
        self._joules = self._wasted = 0.0
        self._joules_known = True
        self._loads = setting.load_at_start
        self._outcome = Outcome(slo=plan.slo)
        self._records = self._outcome.records
        self._decide = self._timed_decide if setting.timed else self.scheduler.handle

    def run(self, arrivals: Iterable[Arrival]) -> Outcome:
        """Simulate requests that arrive in this order of time, until the last has ended."""
        kernel, coming, soon = self._kernel, self._kernel.coming, self._now
        limit = self._plan.slo.latency_ms
        arriving = Front(self._plan.overhead).passed(arrivals)
        self._handle(PlanChanged(plan=self._plan))
        self._present()
        self._loads = True
        self._schedule()
        following, last, patience = next(arriving, None), 0.0, self._setting.patience_s
        while True:
            while soon:
                self._handle(soon.popleft())
            next_at = coming[0][0] if coming else math.inf
            if following is not None and following[0] <= next_at:
                last = following[0]
                kernel.now = max(last, kernel.now)
                self._arrive(*following, limit)
                following = next(arriving, None)
            elif following is None and not self._running and not self._flights:
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

    def _arrive(self, at: float, arrival: Arrival, limit_ms: float) -> None:
        records = self._records
        number = len(records)
        limit_s = (limit_ms if arrival.latency_ms is None else arrival.latency_ms) / 1e3
        request = Request(
            id=f"r{number}",
            pipeline=arrival.pipeline or self._plan.pipeline,
            arrival=at,
            deadline=at + limit_s,
            request_class=arrival.request_class,
            size=arrival.size,
        )
        records.arrived(arrival, limit_s)
        self._handle(RequestArrived(request=request))
        if self._refusal is None:
            self._begin(number, request, arrival)
        else:
            records.refused(number, self._refusal)
            self._refusal = None

    def _happen(self, event: Happening) -> None:
        """Take what is neither an arrival nor the end of a batch."""
        if isinstance(event, Tick):
            self._tick()
        elif isinstance(event, Failure):
            self._fail(event)
        elif isinstance(event, DeviceFailure):
            self._fail_device(event)
        elif isinstance(event, Slowdown):
            self._slow[event.node, event.device] = event.factor
        elif not isinstance(event, InstanceReady) or self._lives.is_ready(event):
            self._handle(event)
            if isinstance(event, InstanceDown | PlanChanged):
                self._present()

    def _tick(self) -> None:
        """Ask what steers the run, and again later."""
        assert self._steering is not None  # noqa: S101
        kernel = self._kernel
        for plan in self._steering.tick(kernel.now):
            self._handle(PlanChanged(plan=plan))
            self._present()
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
        kernel = self._kernel
        match effect:
            case StartInstance(placement=placement):
                load_s, wake_s = self._lives.load_s(placement) if self._loads else 0.0, 0.0
                if self._meter is not None:
                    if self._loads:
                        wake_s = self._meter.wake_s((placement.node, placement.device), kernel.now)
                        load_s = 0.0 if self._meter.keeps(placement, kernel.now) else load_s
                    self._meter.start(placement, load_s)
                self._lives.start(placement, load_s, wake_s)
            case StopInstance(instance=instance):
                self._lives.stop(instance)
                kernel.at(kernel.now, InstanceDown(instance=instance, reason="stopped"))
            case SetTimer(at=at, key=key):
                kernel.at(at, TimerFired(key=key))
            case SetPowerMode(node=node, device=device, mode=mode):
                if self._meter is not None:
                    self._meter.switch((node, device), mode, kernel.now)
            case RefuseRequest(request=request, kind=kind, reason=reason):
                self._refusal = kind
                self._tell_drop(request, kind, reason)
            case DropCall(request=request, kind=kind, reason=reason):
                self._drop(request, kind, reason)

    # --- batches

    def _run(self, effect: RunBatch) -> None:
        now, instance = self._kernel.now, self.scheduler.instances[effect.instance]
        batch = instance.batches[-1]
        if batch.id != effect.batch:  # one decision gave it two
            batch = next(each for each in instance.batches if each.id == effect.batch)
        size, configuration = batch.size, profiled(instance.configuration)
        run_s = self._service.draw(configuration, size, self._rng) * self._bias
        if not self._alike:
            run_s *= self._work(batch.calls)
        if self._slow:
            run_s *= self._slow.get(instance.unit, 1.0)
        begin = max(now, self._busy_until.get(effect.instance, 0.0))
        back_s = 0.0
        if self._network is not None:
            there_s, back_s = self._network.seconds(instance.placement.node, configuration.stage, size)
            begin = max(begin, now + there_s)
        if self._meter is not None:
            begin = max(begin, self._meter.begin(instance.unit, now))
        end = self._busy_until[effect.instance] = begin + run_s
        watts = self._dynamic.watts(configuration, size)
        self._flights[effect.batch] = Flight(effect, instance, batch.calls, size, begin, run_s, watts)
        for record in batch.calls:
            running = self._running.get(record.request.id)
            if running is not None:  # else a call of it was dropped by the same decision
                running.waited_s += begin
        self._kernel.at(end + back_s, BatchDone(batch=effect.batch, run_ms=run_s * 1e3))

    def _work(self, calls: Iterable[CallRecord]) -> float:
        """The work of a batch, over that of one of as many items on average."""
        done = items = 0.0
        for record in calls:
            running = self._running.get(record.request.id)
            work = 1.0 if running is None else running.shape.work[int(record.call.id.partition("/")[2])]
            done += work * record.call.size
            items += record.call.size
        return done / items

    def _batch_done(self, event: BatchDone) -> None:
        flight = self._flights.pop(event.batch, None)
        if flight is None:  # its instance failed meanwhile
            return
        self._handle(event)
        joules = self._spend(flight, flight.run_s, "done") / flight.size
        for record in flight.calls:
            running = self._running.get(record.request.id)
            if running is None:
                self._wasted += joules * record.call.size
                continue
            running.joules += joules * record.call.size
            running.calls_left -= 1
            if running.calls_left:
                self._call_done(running, record.call.id)
            else:
                self._end(running)

    def _spend(self, flight: Flight, ran_s: float, ended: str) -> float:
        """Take the end of a batch; return the joules that it drew, 0 where they are unknown."""
        if self._meter is not None:
            self._meter.end(flight.instance.unit, self._kernel.now)
        if self._occupancy is not None and ran_s > 0:
            self._occupancy.batch(flight, flight.begin + ran_s, ended)
        if flight.watts is None:
            self._joules_known = False
            return 0.0
        joules = flight.watts * ran_s * self._own
        self._joules += joules
        return joules

    # --- failures

    def _fail(self, failure: Failure) -> None:
        self._lives.after(failure)
        instance, now = self.scheduler.instances.get(failure.instance), self._kernel.now
        if instance is None or instance.state not in _ALIVE:
            return
        for batch in instance.batches:
            flight = self._flights.pop(batch.id)
            self._wasted += self._spend(flight, min(max(now - flight.begin, 0.0), flight.run_s), "lost")
            for record in batch.calls:
                running = self._running.get(record.request.id)
                if running is not None:
                    running.waited_s -= max(flight.begin, now)
        self._busy_until.pop(instance.name, None)
        self._lives.fail(failure)
        self._handle(InstanceDown(instance=instance.name, reason="failed"))
        self._present(lost=instance.unit)

    def _fail_device(self, failure: DeviceFailure) -> None:
        self._lives.fail_device(failure)
        for name, instance in list(self.scheduler.instances.items()):
            if instance.unit == (failure.node, failure.device):
                self._fail(Failure(name, failure.at_s, failure.repair_s))

    def _present(self, lost: Unit | None = None) -> None:
        """Tell the meter which instances there are, and which device lost its own by a failure."""
        if self._meter is not None:
            placements = [instance.placement for instance in self.scheduler.instances.values()]
            self._meter.present(placements, self._kernel.now, lost=lost)

    # --- requests

    def _begin(self, number: int, request: Request, arrival: Arrival) -> None:
        traced = arrival.shape
        shape = self._shapes.get(id(traced))
        if shape is None:
            shape = self._shapes[id(traced)] = Shape(traced)
            self._alike &= all(work == 1 for work in shape.work)
        running = Running(number, request, arrival.at, shape, shape.parents.copy(), len(shape.stages))
        self._running[request.id] = running
        if not shape.stages:
            self._end(running)
        for position in shape.roots:
            self._call_ready(running, position)

    def _call_ready(self, running: Running, position: int) -> None:
        request = running.request
        stage = running.shape.stages[position]
        running.waited_s -= self._kernel.now
        call = Call(id=f"{request.id}/{position}", request=request.id, stage=stage, size=request.size)
        self._now.append(CallReady(call=call))

    def _call_done(self, running: Running, call: str) -> None:
        """Let the calls be ready that waited for nothing but this one."""
        for child in running.shape.children[int(call.partition("/")[2])]:
            running.waits_for[child] -= 1
            if not running.waits_for[child]:
                self._call_ready(running, child)

    def _end(self, running: Running) -> None:
        request = running.request
        del self._running[request.id]
        latency_s = self._kernel.now - running.arrived
        if not self._records.answered(running.number, latency_s, running.waited_s):
            self._wasted += running.joules
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
        outcome, now = self._outcome, self._kernel.now
        known = self._joules_known
        outcome.duration_s = now
        front = self._plan.overhead.energy * outcome.requests
        outcome.dynamic_joules, outcome.wasted_joules = (self._joules, self._wasted) if known else (None, None)
        outcome.joules = Joules() if self._meter is None else self._meter.total(now)
        outcome.joules.dynamic = self._dynamic.energy(outcome.dynamic_joules) + front
        outcome.dynamic_joules = outcome.joules.dynamic.joules
        outcome.joules.wasted = self._dynamic.energy(outcome.wasted_joules)
        return outcome
