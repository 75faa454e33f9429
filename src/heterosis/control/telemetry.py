"""What a scheduler's records tell of load, service and devices: live, in the simulator, and from a journal alike.

Memory is bounded: by what is in progress, and by how many stages, operating points, devices and (up to `MOST_CLASSES`)
classes there are, not by how many requests come.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from heterosis.control.sketch import Sketch
from heterosis.control.windows import DAY_S, MINUTE_S, SECOND_S, Recent
from heterosis.planning.envelope import Envelope, Rates
from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    Record,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    SplitCall,
    StartInstance,
    StopInstance,
)
from heterosis.scheduling.state import Unit
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Call, Configuration, Placement, Request

MOST_CLASSES = 64
OTHER = "other"
"""The class of all that come after so many: clients name classes, and could name any number of them."""
SHORTEST_S = 0.25
"""The shortest window of an envelope."""


@dataclass(slots=True)
class ClassFigures:
    """Requests of one class of one pipeline."""

    envelope: Envelope = field(default_factory=lambda: Envelope(SHORTEST_S))
    sizes: Sketch = field(default_factory=Sketch)
    latency_s: Sketch = field(default_factory=Sketch)
    """Of answers."""
    arrived: int = 0
    in_time: int = 0
    late: int = 0
    failed: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    minute: Recent = field(default_factory=lambda: Recent(SECOND_S, 60, 3))
    """Arrived, ended and in time, over the last minute."""
    day: Recent = field(default_factory=lambda: Recent(15 * MINUTE_S, round(DAY_S / 15 / MINUTE_S), 3))

    accuracies: dict[str, Recent] = field(default_factory=dict)
    """By stage: calls that were sent to an instance over the last minute, and the sum of its variant's accuracies."""

    def accuracy(self, now: float, reference: float) -> float | None:
        """End-to-end accuracy of late by what served, as if losses were independent; None where that is unknown."""
        sums = [each.sums(now) for each in self.accuracies.values()]
        means = [accuracy / calls for calls, accuracy in sums if calls]
        return reference * math.prod(mean / reference for mean in means) if means and reference else None

    def rates(self, now: float) -> Rates:
        """The highest rates of late, in windows of `SHORTEST_S` and doubled from there."""
        return self.envelope.rates(now)


@dataclass(slots=True)
class StageFigures:
    """Calls of one stage."""

    fan_out: Sketch = field(default_factory=Sketch)
    """Calls of a request that was not refused; one that makes none counts as just above 0."""
    waits_s: Sketch = field(default_factory=Sketch)
    """From when a call was ready until it was put in a batch."""
    batch_waits_s: Sketch = field(default_factory=Sketch)
    """From then until its batch began to run: behind another batch, or on the way to its node."""
    items: Sketch = field(default_factory=Sketch)
    """Of a batch."""
    calls: int = 0
    dropped: Counter[Refusal] = field(default_factory=Counter)


@dataclass(slots=True)
class InstanceFigures:
    """An instance that was started and is not gone."""

    placement: Placement
    state: InstanceState
    since: float
    stopping: bool = False
    """Whether it was told to stop."""


class Ran(NamedTuple):
    """A batch that ended."""

    placement: Placement
    items: int
    run_s: float
    request: str
    """That its first call is of."""


class Change(NamedTuple):
    """An instance that became ready or is gone."""

    placement: Placement
    event: InstanceReady | InstanceDown
    wanted: bool
    """Whether it was to run on."""


@dataclass(slots=True)
class _Open:
    request: Request
    figures: ClassFigures
    single: bool
    """Whether it ends with its first call."""
    calls: list[str] = field(default_factory=list)
    of_stage: Counter[str] = field(default_factory=Counter)


class Telemetry:
    """Watches one scheduler, record by record."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.classes: dict[tuple[str, str], ClassFigures] = {}
        """By pipeline and class."""
        self.stages: dict[str, StageFigures] = {}
        self.points: dict[tuple[Configuration, int], Sketch] = {}
        """Run times in seconds, by configuration and items."""
        self.instances: dict[str, InstanceFigures] = {}
        self.busy: dict[Unit, Recent] = {}
        """Slot seconds of batches that ended in the last minute, by device."""
        self.now = 0.0
        self._requests: dict[str, _Open] = {}
        self._calls: dict[str, tuple[str, int, float]] = {}
        """Stage, items, and since when it waits, of calls in progress."""
        self._batches: dict[int, tuple[Placement, int, tuple[str, ...], float]] = {}
        self._handlers: dict[type[Any], Callable[[Any, float], Any]] = {
            RequestArrived: self._arrived,
            RequestEnded: self._ended,
            CallReady: self._ready,
            BatchDone: self._done,
            InstanceReady: self._instance_ready,
            InstanceDown: self._instance_down,
            RunBatch: self._run,
            DropCall: self._drop,
            SplitCall: self._split,
            RefuseRequest: self._refuse,
            StartInstance: self._start,
            StopInstance: self._stop,
        }

    def observe(self, record: Record) -> Ran | Change | None:
        """Take a step; return what it tells of a batch's end, or of an instance."""
        at = self.now = record.at
        handler = self._handlers.get(type(record.event))
        found: Ran | Change | None = None if handler is None else handler(record.event, at)
        for effect in record.effects:
            handler = self._handlers.get(type(effect))
            if handler is not None:
                handler(effect, at)
        if isinstance(record.event, PlanChanged):
            self._relabel(record.event)
        return found

    def busy_share(self, unit: Unit, now: float) -> float:
        """How busy the instances of a device were over the last minute, as a share of its slots' time."""
        busy = self.busy.get(unit)
        slots = {slot for each in self.instances.values() for slot in each.placement.slots if _is_on(each, unit)}
        return 0.0 if busy is None else min(busy.sums(now)[0] / 60 / max(len(slots), 1), 1.0)

    # --- requests

    def _arrived(self, event: RequestArrived, at: float) -> None:
        request = event.request
        figures = self._class(request)
        figures.arrived += 1
        figures.envelope.note(at)
        figures.sizes.add(request.size)
        figures.minute.add(at, 1.0, 0.0, 0.0)
        figures.day.add(at, 1.0, 0.0, 0.0)
        self._requests[request.id] = _Open(request, figures, event.call is not None)
        if event.call is not None:
            self._open(event.call, at)

    def _class(self, request: Request) -> ClassFigures:
        key = (request.pipeline, request.request_class)
        figures = self.classes.get(key)
        if figures is None:
            if len(self.classes) >= MOST_CLASSES:
                key = (request.pipeline, OTHER)
            figures = self.classes.setdefault(key, ClassFigures())
        return figures

    def _refuse(self, effect: RefuseRequest, at: float) -> None:
        open_ = self._requests.pop(effect.request)
        for call in open_.calls:
            stage, _, _ = self._calls.pop(call)
            self._stage(stage).calls -= 1
        figures = open_.figures
        figures.refused[effect.kind] += 1
        self._count(figures, at, in_time=False)

    def _ended(self, event: RequestEnded, at: float) -> None:
        self._end(event.request, event.outcome, at)

    def _end(self, request_id: str, outcome: str, at: float) -> None:
        open_ = self._requests.pop(request_id, None)
        if open_ is None:
            return  # it came before this began to watch
        figures, request = open_.figures, open_.request
        for call in open_.calls:
            self._calls.pop(call, None)
        for stage, count in open_.of_stage.items():
            self.stages[stage].fan_out.add(count)
        if outcome == "cancelled":
            return  # whoever asked is gone: neither good nor bad
        in_time = outcome != "failed" and at <= request.deadline
        if outcome == "failed":
            figures.failed += 1
        else:
            figures.latency_s.add(at - request.arrival)
            figures.in_time += in_time
            figures.late += not in_time
        self._count(figures, at, in_time=in_time)

    def _count(self, figures: ClassFigures, at: float, *, in_time: bool) -> None:
        figures.minute.add(at, 0.0, 1.0, float(in_time))
        figures.day.add(at, 0.0, 1.0, float(in_time))

    # --- calls and batches

    def _ready(self, event: CallReady, at: float) -> None:
        self._open(event.call, at)

    def _open(self, call: Call, at: float) -> None:
        self._stage(call.stage).calls += 1
        open_ = self._requests.get(call.request)
        if open_ is not None:
            open_.calls.append(call.id)
            open_.of_stage[call.stage] += 1
            self._calls[call.id] = (call.stage, call.size, at)

    def _stage(self, name: str) -> StageFigures:
        figures = self.stages.get(name)
        return figures if figures is not None else self.stages.setdefault(name, StageFigures())

    def _drop(self, effect: DropCall, _: float) -> None:
        held = self._calls.pop(effect.call, None)
        if held is not None:
            self._stage(held[0]).dropped[effect.kind] += 1

    def _split(self, effect: SplitCall, _: float) -> None:
        """Watch the parts of a call that was counted as one."""
        open_ = self._requests.get(effect.request)
        if open_ is None:
            return
        open_.single = False
        stage, _size, since = self._calls.pop(effect.call)
        for part in effect.parts:
            open_.calls.append(part.id)
            self._calls[part.id] = (stage, part.size, since)

    def _run(self, effect: RunBatch, at: float) -> None:
        items = 0
        instance = self.instances.get(effect.instance)
        accuracy = None if instance is None else instance.placement.accuracy
        for call in effect.calls:
            stage, size, since = self._calls.get(call, ("", 1, at))
            items += size
            if stage:
                self._stage(stage).waits_s.add(at - since)
                open_ = self._requests.get(call.partition("/")[0])
                if accuracy is not None and open_ is not None:
                    of = open_.figures.accuracies
                    (of.get(stage) or of.setdefault(stage, Recent(SECOND_S, 60, 2))).add(at, 1.0, accuracy)
        if instance is not None:
            self._batches[effect.batch] = (instance.placement, items, effect.calls, at)

    def _done(self, event: BatchDone, at: float) -> Ran | None:
        held = self._batches.pop(event.batch, None)
        if held is None:
            return None
        placement, items, calls, since = held
        run_s = event.run_ms / 1e3
        figures = self._stage(placement.configuration.stage)
        figures.items.add(items)
        figures.batch_waits_s.add(max(at - since - run_s, 0.0))
        self.points.setdefault((placement.configuration, items), Sketch()).add(run_s)
        unit = placement.unit
        busy = self.busy.get(unit)
        if busy is None:
            busy = self.busy.setdefault(unit, Recent(SECOND_S, 60, 1))
        busy.add(at, run_s * max(len(placement.slots), 1))
        for call in calls:
            request = call.partition("/")[0]
            open_ = self._requests.get(request)
            if open_ is not None and open_.single:
                self._end(request, "failed" if call in event.failed else "answered", at)
        return Ran(placement, items, run_s, calls[0].partition("/")[0])

    # --- instances

    def _start(self, effect: StartInstance, at: float) -> None:
        placement = effect.placement
        self.instances[placement.instance] = InstanceFigures(placement, InstanceState.STARTING, at)

    def _stop(self, effect: StopInstance, at: float) -> None:
        instance = self.instances.get(effect.instance)
        if instance is not None:
            instance.stopping, instance.state, instance.since = True, InstanceState.STOPPING, at

    def _instance_ready(self, event: InstanceReady, at: float) -> Change | None:
        instance = self.instances.get(event.instance)
        if instance is None or instance.stopping:
            return None
        instance.state, instance.since = InstanceState.READY, at
        return Change(instance.placement, event, wanted=True)

    def _instance_down(self, event: InstanceDown, _: float) -> Change | None:
        instance = self.instances.pop(event.instance, None)
        if instance is None:
            return None
        for batch, (placement, _, calls, at) in list(self._batches.items()):
            if placement.instance == event.instance:
                del self._batches[batch]
                for call in calls:
                    if call in self._calls:
                        stage, size, _ = self._calls[call]
                        self._calls[call] = (stage, size, at)
        return Change(instance.placement, event, wanted=not instance.stopping)

    def _relabel(self, event: PlanChanged) -> None:
        """Know what the plan takes running instances for."""
        for placement in event.plan.placements:
            instance = self.instances.get(placement.instance)
            if instance is not None:
                instance.placement = placement


def _is_on(instance: InstanceFigures, unit: Unit) -> bool:
    return instance.placement.unit == unit
