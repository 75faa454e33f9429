"""From one plan to another: make before break, with the time and the joules that it takes.

1. What the new plan adds is loaded beside what runs, wherever a device can host both; nothing is taken away yet.
2. A device that cannot (its power mode changes, or its memory is too small) stops serving, drains, and loads. Of these,
   as many at a time as the load can spare; the devices that the new plan leaves out still serve.
3. Once all is loaded, the new plan is put in force, and what it leaves out ends.

Between two plans, instances are those of both (see `heterosis.scheduling.core`: a plan starts what it adds, and stops
what it leaves out when that holds no batch), and a call may take the longer of both plans' budgets.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from heterosis.planning.fleet.changes.contents import (
    Content,
    Contents,
    anonymous,
    contents,
    hosted,
    power_mode,
    present,
)
from heterosis.planning.fleet.changes.headroom import Headroom, load_of, needed
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.task import Task, Unit
from heterosis.terms import Plan
from heterosis.terms.errors import UsageError
from heterosis.terms.joining import between

MARGIN = 1.1
"""What is waited for an instance to load, as a multiple of what that took when it was measured."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A plan to put in force, so long after the one before it."""

    after_s: float
    plan: Plan


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """Plans to put in force, one after the other, the new one last."""

    steps: tuple[Step, ...]
    headroom: float
    """The least multiple of the load that the instances which are ready can bear, from the first moment to the last."""
    starting_j: float
    """Energy of loading and of changing power modes, above idle."""
    overlap_j: float | None
    """Energy of the fleet meanwhile beyond what it draws once the new plan holds (negative where that draws more); None
    where unknown."""

    @property
    def cost_j(self) -> float | None:
        """Energy of the change in all; None where unknown."""
        return None if self.overlap_j is None else self.starting_j + self.overlap_j

    @property
    def takes_s(self) -> float:
        """From the first step to the last."""
        return sum(step.after_s for step in self.steps)


def transition(task: Task, old: Plan, new: Plan, load: Mapping[str, float] | None = None) -> Transition:
    """Return the way from one plan to another, instances of devices that the fleet no longer has being gone.

    ``load`` is what comes meanwhile, in calls per second of each stage; by default what the new plan is for. Raise
    UsageError where both plans have an instance of one name that is not the same.
    """
    names = {placement.instance: placement for placement in old.placements}
    for placement in new.placements:
        if names.get(placement.instance, placement) != placement:
            raise UsageError(f"both plans have an instance {placement.instance!r}, and it is not the same in both")
    return _Way(task, present(task, old), new, load_of(new) if load is None else load).go()


class _Way:
    """Puts the steps together, one after the other."""

    def __init__(self, task: Task, old: Plan, new: Plan, load: Mapping[str, float]) -> None:
        self.old, self.new = old, new
        points = {(point.configuration, point.batch): point for point in (*old.points, *new.points)}
        self.points = tuple(points.values())
        self.starts = Starts(task, self.points)
        self.headroom = Headroom(self.points, load)
        self.before = contents(old.placements)
        self.after = contents(new.placements)
        self.enough = needed(self.headroom, hosted(self.before), hosted(self.after))
        self.serving = dict(self.before)
        """What is ready, by device, once all that was waited for has loaded."""
        self.least = self.headroom.of(hosted(self.before))
        self.steps: list[tuple[float, Contents]] = []
        self.wait_s = 0.0
        """From the last step to the next."""
        self.modes = {unit: power_mode(of) for unit, of in self.before.items()}
        """Of the devices that are on."""
        self.waited: list[tuple[float, float | None]] = []
        """How long before each step, and what is on adds to the power of the fleet meanwhile."""

    def go(self) -> Transition:
        """Take all steps."""
        turns = [unit for unit, of in self.before.items() if not self.starts.beside(unit, of, self.after.get(unit, ()))]
        self._load_beside(turns)
        while turns:
            wave = self._wave(turns)
            turns = [unit for unit in turns if unit not in wave]
            self._turn(wave)
        self._step(self.after)
        self.least = min(self.least, self.headroom.of(hosted(self.after)))
        *before, (after_s, _) = self.steps
        plans = [(wait_s, between(self.old, self.new, hosted(on), self.points)) for wait_s, on in before]
        return Transition(
            steps=tuple(Step(after_s=wait_s, plan=plan) for wait_s, plan in (*plans, (after_s, self.new))),
            headroom=self.least,
            starting_j=self._starting_j(),
            overlap_j=self._overlap_j(),
        )

    def _load_beside(self, turns: Collection[Unit]) -> None:
        """Load what can be loaded while everything else runs."""
        added = {
            unit: (*had, *(each for each in of if each not in had))
            for unit, of in self.after.items()
            if unit not in turns and not set(of) <= set(had := self.before.get(unit, ()))
        }
        if added:
            self.modes |= {unit: power_mode(of) for unit, of in added.items()}
            self._step(self.serving | added)
            self._wait_for(added)
            self.serving |= added

    def _turn(self, wave: Collection[Unit]) -> None:
        """Let some devices drain and load, while the others serve."""
        left = self._without(wave)
        self.least = min(self.least, self.headroom.of(hosted(left)))
        self._step(left)
        self.wait_s = max(self.starts.drain_s(each) for unit in wave for each in self.before[unit])
        turned = {unit: self.after[unit] for unit in wave}
        self._step({**left, **turned})
        self.modes |= {unit: power_mode(of) for unit, of in turned.items()}
        self._wait_for(turned)
        self.serving = {**left, **turned}

    def _wave(self, turns: Sequence[Unit]) -> set[Unit]:
        """As many of the devices as the load can spare; if it can spare none, the one that it can spare best."""
        alike: dict[tuple[Content, Content], list[Unit]] = defaultdict(list)
        for unit in turns:
            alike[anonymous(self.before[unit]), anonymous(self.after[unit])].append(unit)
        wave = set[Unit]()
        for units in alike.values():
            few = bisect_left(range(len(units) + 1), x=True, key=lambda count: self._short({*wave, *units[:count]}))
            wave.update(units[: max(few - 1, 0)])
        return wave or {max((units[0] for units in alike.values()), key=lambda unit: self._left({unit}))}

    def _short(self, wave: Collection[Unit]) -> bool:
        return self._left(wave) < self.enough

    def _left(self, wave: Collection[Unit]) -> float:
        return self.headroom.of(hosted(self._without(wave)))

    def _without(self, wave: Collection[Unit]) -> dict[Unit, Content]:
        """What serves while some devices turn: of those, what stays."""
        return {
            unit: tuple(each for each in of if each in self.after[unit]) if unit in wave else of
            for unit, of in self.serving.items()
        }

    def _wait_for(self, added: Contents) -> None:
        """Let pass what instances take until they are ready."""
        for unit, of in added.items():
            had = self.before.get(unit, ())
            load_s = max(self.starts.load_s(each) for each in of if each not in had)
            self.wait_s = max(self.wait_s, MARGIN * (self.starts.change_s(unit, had, of) + load_s))

    def _step(self, on: Contents) -> None:
        self.waited.append((self.wait_s, self._on_w(self.modes)))
        self.steps.append((self.wait_s, on))
        self.wait_s = 0.0

    # --- joules

    def _starting_j(self) -> float:
        joules = 0.0
        for unit, of in self.after.items():
            had = self.before.get(unit, ())
            joules += self.starts.switch_j(unit, had, of)
            joules += sum(self.starts.load_j(unit, each) for each in of if each not in had)
        return joules

    def _overlap_j(self) -> float | None:
        new_w = self._on_w({unit: power_mode(of) for unit, of in self.after.items()})
        before_w, after_w = (calls_w(plan, self.new) for plan in (self.old, self.new))
        joules = 0.0
        for wait_s, on_w in self.waited:
            if wait_s:
                if on_w is None or new_w is None or before_w is None or after_w is None:
                    return None
                joules += wait_s * (on_w + before_w - new_w - after_w)
        return joules

    def _on_w(self, modes: Mapping[Unit, str]) -> float | None:
        watts = [self.starts.on_w(unit, mode) for unit, mode in modes.items()]
        known = [each for each in watts if each is not None]
        return sum(known) if len(known) == len(watts) else None


def calls_w(plan: Plan, load: Plan) -> float | None:
    """Power that a plan expects the calls of another plan's load to add, in watts; None where unknown.

    Pipeline by pipeline where there are several: a request of one may take many times as much as one of another.
    """
    predicted = {each.pipeline: each.predicted for each in plan.pipelines}
    if len(load.pipelines) > 1 and predicted.keys() >= {each.pipeline for each in load.pipelines}:
        parts = [(each.rate_rps, predicted[each.pipeline]) for each in load.pipelines]
    else:
        parts = [(load.rate_rps, plan.predicted)]
    total = 0.0
    for rate_rps, each in parts:
        joules = each.dynamic_energy_per_request.joules
        if joules is None:
            return None
        total += rate_rps * joules
    return total
