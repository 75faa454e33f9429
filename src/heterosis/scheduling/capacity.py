"""What follows from a plan alone: who shares slots, how deep instances are filled, how much work a request is."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.remembered import Remembered
from heterosis.terms import Configuration, Placement, Plan

MOST_PARTS = 8
"""Into how many parts a call is split at most, so that the time of a decision does not grow with instances."""

Place = tuple[str, str, int]
"""A slot, unique in the fleet: node, device, number."""


def places(placement: Placement) -> tuple[Place, ...]:
    """The slots that an instance occupies while it runs a batch."""
    return tuple((placement.node, placement.device, slot) for slot in placement.slots)


class Domain(NamedTuple):
    """Pipelines whose instances share slots, directly or by others', and the slots that they have together."""

    pipelines: tuple[str, ...]
    slots: int
    alike: bool
    """Whether any of the slots can run whatever any of them can."""


class Capacity:
    """Figures of one plan; times in seconds."""

    def __init__(self, plan: Plan) -> None:
        """Read them off the plan and its operating points."""
        self._estimates = Estimates(plan.points)
        self.fastest: Mapping[tuple[str, int], Configuration | None] = Remembered(self._find_fastest)
        """The configuration that runs a call of a stage, of so many items, in the least time; None: there is none."""
        self.work: Mapping[tuple[str, int], float] = Remembered(self._find_work)
        """Slot time that a call of a stage, of so many items, is expected to need, at the least."""
        self.request_work: Mapping[tuple[str, int], float] = Remembered(self._find_request_work)
        """Slot time that a request to a pipeline, of so many items, is expected to need, at the least."""
        self.slot_time: Mapping[tuple[Configuration, int], float] = Remembered(self._find_slot_time)
        """Slot time of a call of so many items in a full batch of a configuration."""
        self._sharers = Counter(place for placement in plan.placements for place in places(placement))
        found = _configurations(plan)
        self.configurations: Mapping[str, tuple[Configuration, ...]] = defaultdict(
            tuple, {stage: tuple(of) for stage, of in found.items()}
        )
        """The configurations that each stage has instances of."""
        self.group: dict[Configuration, int] = {}
        """Which configurations compete for the same slots: the number of a group of interchangeable slots."""
        self.group_slots: Counter[int] = Counter()
        """Slots of each group; an instance without slots counts as one of its own."""
        self.members: dict[int, list[Configuration]] = {}
        """The configurations of each group."""
        self._find_groups(plan)
        self.slots = max(self.group_slots.total(), 1)
        """Distinct slots of all instances."""
        self.domains = self._find_domains(plan)
        """Who competes with the requests of a pipeline, and for how much."""
        self.may_miss = 1 - plan.slo.percentile / 100
        """Share of deadlines that the SLO allows to be missed."""
        self.tails: Mapping[str, float] = defaultdict(
            float, {stage.stage: stage.tail_ms / 1e3 for stage in plan.stages}
        )
        """Time that must be left for what follows each stage."""
        self.longest_tail = max(self.tails.values(), default=0.0)
        self.max_batch = {configuration: batch for of in found.values() for configuration, batch in of.items()}
        """Most items of a batch of each configuration."""
        self.width = {placement.configuration: len(placement.slots) or 1 for placement in plan.placements}
        """Slots that an instance of each configuration occupies."""
        self.full = {stage.stage: stage.batch for stage in plan.stages}
        """Items that a batch of each stage is waited for to have."""
        self.fill_s = {stage.stage: stage.fill_ms / 1e3 for stage in plan.stages if stage.fill_ms}
        """How long a call may wait for a fuller batch, of stages where it may."""
        self.least_accuracy = {stage.stage: stage.accuracy for stage in plan.stages if stage.accuracy is not None}
        """What the variants of a stage must come to on average, for stages that mix them."""
        self.class_accuracy = {
            (stage.stage, name): least for stage in plan.stages for name, least in stage.class_accuracy.items()
        }
        """Likewise, for classes of requests that have a floor of their own."""
        self.accuracy = {placement.configuration: placement.accuracy for placement in plan.placements}
        """Of the variant that each configuration runs; None where unknown."""
        demand = {stage.stage: stage.demand_per_s for stage in plan.stages}
        self.calls_per_request = {stage: per_s / plan.rate_rps for stage, per_s in demand.items()}
        """Calls of each stage that a request is expected to make, whichever pipeline's it is."""
        self._calls_by_pipeline = {
            each.pipeline: {stage: demand[stage] / each.rate_rps for stage in each.stages} for each in plan.pipelines
        }

        self.stages = defaultdict(
            lambda: tuple(self.calls_per_request),
            {pipeline: tuple(calls) for pipeline, calls in self._calls_by_pipeline.items()},
        )
        """The stages of a pipeline, or of the only one."""

    def path_s(self, pipeline: str, size: int) -> float:
        """Time that a request of so many items takes on free slots, as far as the plan foresees."""
        return max((self._fastest_s(stage, size) + self.tails[stage] for stage in self.stages[pipeline]), default=0.0)

    def _fastest_s(self, stage: str, size: int) -> float:
        configuration = self.fastest[stage, size]
        return 0.0 if configuration is None else self._estimates.mean(configuration, size)

    def _find_fastest(self, key: tuple[str, int]) -> Configuration | None:
        stage, size = key
        among = self.configurations[stage]
        return min(among, key=lambda each: self._estimates.mean(each, size), default=None)

    def parts(self, configuration: Configuration, size: int) -> int:
        """Into how many parts a call of so many items can be split at most, to run on instances of a configuration."""
        instances = self.group_slots[self.group[configuration]] // self.width[configuration]
        return max(min(instances, size, MOST_PARTS), 1)

    def least_part(self, configuration: Configuration, size: int) -> int:
        """Items that a part of a call of so many has at the most, where it is split into as many parts as can be."""
        return -(-size // self.parts(configuration, size))

    def _find_request_work(self, key: tuple[str, int]) -> float:
        pipeline, size = key
        calls = self._calls_by_pipeline.get(pipeline, self.calls_per_request)
        return sum(number * self.work[stage, size] for stage, number in calls.items())

    def _find_work(self, key: tuple[str, int]) -> float:
        stage, size = key
        return min((self.slot_time[each, size] for each in self.configurations[stage]), default=0.0)

    def _find_slot_time(self, key: tuple[Configuration, int]) -> float:
        configuration, size = key
        items = max(size, self.max_batch[configuration])
        return self._estimates.mean(configuration, items) * size / items * self.width[configuration]

    def _find_groups(self, plan: Plan) -> None:
        """Slots are interchangeable where the same configurations can run on them."""
        on: dict[Place, dict[Configuration, None]] = {}
        for placement in plan.placements:
            for place in places(placement) or (("", placement.instance, 0),):
                on.setdefault(place, {})[placement.configuration] = None
        numbers: dict[frozenset[Configuration], int] = {}
        for configurations in on.values():
            number = numbers.setdefault(frozenset(configurations), len(numbers))
            self.group_slots[number] += 1
            for configuration in configurations:
                if self.group.setdefault(configuration, number) == number:
                    members = self.members.setdefault(number, [])
                    if configuration not in members:
                        members.append(configuration)

    def _find_domains(self, plan: Plan) -> Mapping[str, Domain]:
        """Put together the pipelines that have a group of slots in common; who is unknown competes with all."""
        parts: list[tuple[set[str], set[int]]] = []
        for each in plan.pipelines:
            groups = {self.group[one] for stage in each.stages for one in self.configurations[stage]}
            names = {each.pipeline}
            for part in [part for part in parts if part[1] & groups]:
                parts.remove(part)
                names, groups = names | part[0], groups | part[1]
            parts.append((names, groups))
        whole = Domain((), self.slots, len(self.group_slots) == 1)
        found: dict[str, Domain] = defaultdict(lambda: whole)
        for names, groups in parts:
            slots = max(sum(self.group_slots[group] for group in groups), 1)
            found |= dict.fromkeys(names, Domain(tuple(sorted(names)), slots, len(groups) == 1))
        return found

    def depth(self, placement: Placement) -> int:
        """Batches that an instance may hold: two where they are short and its slots its own, so that the hop is hidden.

        Where slots are shared, a batch held in advance would keep another stage off them.
        """
        alone = bool(placement.slots) and all(self._sharers[place] == 1 for place in places(placement))
        run_s = self._estimates.mean(placement.configuration, 1)
        return 2 if alone and 0 < run_s < placement.prefetch_below_ms / 1e3 else 1


def _configurations(plan: Plan) -> dict[str, dict[Configuration, int]]:
    """What each stage has instances of, with the most items of a batch."""
    found: dict[str, dict[Configuration, int]] = {}
    for placement in plan.placements:
        configuration = placement.configuration
        found.setdefault(configuration.stage, {}).setdefault(configuration, placement.max_batch)
    return found
