"""Simulates a plan under load: the scheduling core in virtual time."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Effect,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    Scheduler,
    SetTimer,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.simulation.kernel import Kernel
from heterosis.simulation.outcome import Outcome
from heterosis.simulation.service import MeasuredTimes, Service
from heterosis.simulation.workload import Arrival
from heterosis.terms import Call, Plan, Request, TracedRequest


class _Shape:
    """A request's calls, as the simulator walks them."""

    __slots__ = ("children", "parents", "roots", "stages")

    def __init__(self, traced: TracedRequest) -> None:
        self.stages = [call.stage for call in traced.calls]
        self.parents = [len(call.parents) for call in traced.calls]
        self.roots = [position for position, count in enumerate(self.parents) if not count]
        self.children: list[list[int]] = [[] for _ in traced.calls]
        for position, call in enumerate(traced.calls):
            for parent in call.parents:
                self.children[parent].append(position)


@dataclass(slots=True)
class _Running:
    """A request in progress."""

    request: Request
    shape: _Shape
    waits_for: list[int]
    """How many calls each of its calls still waits for."""
    calls_left: int


class Simulator:
    """One run. Draws come from one seeded generator, so equal arguments give equal outcomes."""

    def __init__(self, plan: Plan, *, seed: int = 0, bias: float = 1.0, service: Service | None = None) -> None:
        """Simulate this plan. Run times are drawn from its operating points, or by ``service``.

        ``bias`` multiplies every run time (1.15: 15 % above profile).
        """
        self.scheduler = Scheduler(plan)
        self._plan = plan
        self._rng = np.random.default_rng(seed)
        self._service = service or MeasuredTimes(plan)
        self._bias = bias
        self._kernel: Kernel[Event] = Kernel()
        self._now: deque[Event] = deque()
        """Events that happen at this very moment, in order."""
        self._shapes: dict[int, _Shape] = {}
        self._running: dict[str, _Running] = {}
        self._batches: dict[int, RunBatch] = {}
        self._busy_until: dict[str, float] = {}
        self._outcome = Outcome(slo=plan.slo)

    def run(self, arrivals: Iterable[Arrival]) -> Outcome:
        """Simulate requests that arrive in this order of time, until the last has ended."""
        kernel, soon = self._kernel, self._now
        limit = self._plan.slo.latency_ms
        coming = enumerate(arrivals)
        self._handle(PlanChanged(plan=self._plan))
        following = next(coming, None)
        while True:
            while soon:
                self._handle(soon.popleft())
            if following is not None and following[1].at <= kernel.next_at:
                number, arrival = following
                following = next(coming, None)
                kernel.now = max(arrival.at, kernel.now)
                self._arrive(number, arrival, limit)
            elif (event := kernel.next()) is not None:
                self._handle(event)
            else:
                break
        self._outcome.duration_s = kernel.now
        return self._outcome

    def _arrive(self, number: int, arrival: Arrival, limit_ms: float) -> None:
        limit_ms = limit_ms if arrival.latency_ms is None else arrival.latency_ms
        request = Request(
            id=f"r{number}",
            pipeline=self._plan.pipeline,
            arrival=arrival.at,
            deadline=arrival.at + limit_ms / 1e3,
            request_class=arrival.request_class,
            size=arrival.size,
        )
        self._handle(RequestArrived(request=request))
        if request.id in self.scheduler.requests:
            self._begin(request, arrival.shape)

    def _handle(self, event: Event) -> None:
        for effect in self.scheduler.handle(event, self._kernel.now):
            self._execute(effect)
        if type(event) is BatchDone:
            for call in self._batches.pop(event.batch).calls:
                self._call_done(call)

    def _execute(self, effect: Effect) -> None:
        kernel = self._kernel
        match effect:
            case RunBatch(batch=batch, instance=instance):
                self._batches[batch] = effect
                held = self.scheduler.instances[instance]
                size = held.batches[-1].size
                run = self._service.draw(held.configuration, size, self._rng) * self._bias
                end = max(kernel.now, self._busy_until.get(instance, 0.0)) + run
                self._busy_until[instance] = end
                self._outcome.batch(self.scheduler.estimates.joules(held.configuration, size), size)
                kernel.at(end, BatchDone(batch=batch, run_ms=run * 1e3))
            case StartInstance(placement=placement):
                kernel.at(kernel.now, InstanceReady(instance=placement.instance))
            case StopInstance(instance=instance):
                kernel.at(kernel.now, InstanceDown(instance=instance, reason="stopped"))
            case SetTimer(at=at, key=key):
                kernel.at(at, TimerFired(key=key))
            case RefuseRequest(kind=kind):
                self._outcome.refused(kind)
            case DropCall(request=request, kind=kind):
                if self._running.pop(request, None) is not None:
                    self._outcome.refused(kind)
                    self._now.append(RequestEnded(request=request, outcome="failed"))

    def _begin(self, request: Request, traced: TracedRequest) -> None:
        shape = self._shapes.get(id(traced))
        if shape is None:
            shape = self._shapes[id(traced)] = _Shape(traced)
        self._running[request.id] = running = _Running(request, shape, shape.parents.copy(), len(shape.stages))
        if not shape.stages:
            self._end(running)
        for position in shape.roots:
            self._call_ready(running, position)

    def _call_ready(self, running: _Running, position: int) -> None:
        request = running.request
        stage = running.shape.stages[position]
        call = Call(id=f"{request.id}/{position}", request=request.id, stage=stage, size=request.size)
        self._now.append(CallReady(call=call))

    def _call_done(self, call: str) -> None:
        request, _, number = call.partition("/")
        running = self._running.get(request)
        if running is None:
            return
        running.calls_left -= 1
        if not running.calls_left:
            self._end(running)
            return
        for child in running.shape.children[int(number)]:
            running.waits_for[child] -= 1
            if not running.waits_for[child]:
                self._call_ready(running, child)

    def _end(self, running: _Running) -> None:
        request = running.request
        del self._running[request.id]
        self._outcome.answered(self._kernel.now - request.arrival)
        self._now.append(RequestEnded(request=request.id, outcome="answered"))
