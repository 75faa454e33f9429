"""Simulates a plan under load: the scheduling core in virtual time, with requests drawn from the traced samples."""

from collections.abc import Sequence
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
from heterosis.simulation.service import ServiceTimes
from heterosis.terms import Call, PipelineGraph, Plan, Request, TracedRequest


@dataclass(slots=True)
class _Running:
    """A request in progress."""

    request: Request
    shape: TracedRequest
    waits_for: list[int]
    """How many calls each of its calls still waits for."""
    calls_left: int


class Simulator:
    """One run. Draws come from one seeded generator, so equal arguments give equal outcomes."""

    def __init__(self, plan: Plan, graph: PipelineGraph, *, seed: int = 0, bias: float = 1.0) -> None:
        """Simulate this plan on requests shaped like the graph's samples; ``bias`` multiplies every run time."""
        self.scheduler = Scheduler(plan)
        self._plan = plan
        self._shapes = graph.requests
        self._rng = np.random.default_rng(seed)
        self._service = ServiceTimes(plan, self._rng, bias)
        self._kernel: Kernel[Event] = Kernel()
        self._running: dict[str, _Running] = {}
        self._batches: dict[int, RunBatch] = {}
        self._busy_until: dict[str, float] = {}
        self._outcome = Outcome(slo=plan.slo)

    def run(self, arrivals: Sequence[float]) -> Outcome:
        """Simulate requests that arrive at these times (seconds, ascending), until the last has ended."""
        kernel = self._kernel
        kernel.at(0.0, PlanChanged(plan=self._plan))
        limit = self._plan.slo.latency_ms / 1e3
        for number, time in enumerate(arrivals):
            request = Request(id=f"r{number}", pipeline=self._plan.pipeline, arrival=time, deadline=time + limit)
            kernel.at(time, RequestArrived(request=request))
        while (event := kernel.next()) is not None:
            effects = self.scheduler.handle(event, kernel.now)
            for effect in effects:
                self._execute(effect)
            match event:
                case RequestArrived(request=request) if request.id in self.scheduler.requests:
                    self._begin(request)
                case BatchDone(batch=batch):
                    for call in self._batches.pop(batch).calls:
                        self._call_done(call)
        self._outcome.duration_s = kernel.now
        return self._outcome

    def _execute(self, effect: Effect) -> None:
        kernel = self._kernel
        match effect:
            case RunBatch(batch=batch, instance=instance):
                self._batches[batch] = effect
                held = self.scheduler.instances[instance]
                size = held.batches[-1].size
                run = self._service.draw(held.configuration, size)
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
                    kernel.at(kernel.now, RequestEnded(request=request, outcome="failed"))

    def _begin(self, request: Request) -> None:
        shape = self._shapes[int(self._rng.integers(len(self._shapes)))]
        waits_for = [len(call.parents) for call in shape.calls]
        self._running[request.id] = _Running(request, shape, waits_for, len(shape.calls))
        if not shape.calls:
            self._end(request.id)
        for position, parents in enumerate(waits_for):
            if not parents:
                self._call_ready(request.id, position)

    def _call_ready(self, request: str, position: int) -> None:
        stage = self._running[request].shape.calls[position].stage
        call = Call(id=f"{request}/{position}", request=request, stage=stage)
        self._kernel.at(self._kernel.now, CallReady(call=call))

    def _call_done(self, call: str) -> None:
        request, _, number = call.partition("/")
        running = self._running.get(request)
        if running is None:
            return
        running.calls_left -= 1
        if not running.calls_left:
            self._end(request)
            return
        for position, child in enumerate(running.shape.calls):
            if int(number) in child.parents:
                running.waits_for[position] -= 1
                if not running.waits_for[position]:
                    self._call_ready(request, position)

    def _end(self, request: str) -> None:
        running = self._running.pop(request)
        self._outcome.answered(self._kernel.now - running.request.arrival)
        self._kernel.at(self._kernel.now, RequestEnded(request=request, outcome="answered"))
