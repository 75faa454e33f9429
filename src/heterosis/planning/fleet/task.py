"""What is asked of a whole fleet: pipelines, how much of each, and what to have least of."""

import math
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import NamedTuple

import msgspec

from heterosis.planning.demand import Demand, demand
from heterosis.terms import (
    NO_OVERHEAD,
    Configuration,
    Device,
    DeviceType,
    Fleet,
    Overhead,
    PipelineGraph,
    Profile,
    Slo,
    Variant,
    VariantSet,
)
from heterosis.terms.errors import UsageError

Unit = tuple[str, str]
"""A device by the names of its node and itself."""

Combination = tuple[tuple[str, str], ...]
"""A variant for every stage of a pipeline, as pairs of names, in the order of its stages."""

OTHERS = ""
"""Stands for the classes of requests that have no accuracy floor of their own."""
LEAST_SHARE = 0.05
"""Of the requests, what a class with a floor of its own is planned for at least: one may come at any time."""

MOST_COMBINATIONS = 512
"""Beyond so many, accuracy is kept by a bound that needs no list of them."""


class Objective(StrEnum):
    """What to have least of, or of ``accuracy`` most."""

    ENERGY = "energy"
    PRICE = "price"
    CARBON = "carbon"
    DEVICES = "devices"
    ACCURACY = "accuracy"
    BUSY = "busy"
    """Slots that are busy, on average: for devices whose power is unknown. What is on and idle costs nothing."""


class Floor(NamedTuple):
    """What accuracy a part of a pipeline's requests must have on average."""

    request_class: str
    """`OTHERS` for all that have no floor of their own."""
    share: float
    """Of the requests, 0..1."""
    least: float | None


class Workload(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A pipeline to be served, and how much of it."""

    graph: PipelineGraph
    slo: Slo
    rate_rps: float
    variants: VariantSet
    profile: Profile
    fan_out: Mapping[tuple[str, str, str], float] = {}
    """For a stage, one of its variants and a stage that follows: how many calls of that follow one call of the variant,
    as a multiple of those that were traced. 1 where nothing is said."""
    classes: Mapping[str, float] = {}
    """Share of the requests (0..1) that are of each class with a floor of its own; of others, `LEAST_SHARE`."""
    judge: Callable[[Mapping[str, Variant]], float] | None = None
    """End-to-end accuracy (0..1) of a variant for each stage; without it, losses count as if they were independent."""

    def floors(self, *, mix: bool) -> list[Floor]:
        """Floors of accuracy of all parts of its requests; all must have the highest where variants are not mixed."""
        of = self.slo.class_accuracy
        if not of:
            return [Floor(OTHERS, 1.0, self.slo.min_accuracy)]
        if not mix:
            return [Floor(OTHERS, 1.0, self.slo.alike.min_accuracy)]
        shares = {name: max(self.classes.get(name, 0.0), LEAST_SHARE) for name in of}
        known, others = sum(shares.values()), max(1 - sum(self.classes.get(name, 0.0) for name in of), LEAST_SHARE)
        total = known + others
        return [
            Floor(OTHERS, others / total, self.slo.min_accuracy),
            *(Floor(name, share / total, of[name]) for name, share in shares.items()),
        ]

    def demand(self, stage: str) -> Demand:
        """Calls of a stage by a request."""
        return self._demands[stage]

    @cached_property
    def _demands(self) -> dict[str, Demand]:
        return {stage: demand(self.graph, stage) for stage in self.graph.stages}

    def variant(self, stage: str, name: str) -> Variant:
        """Return one of its variants."""
        return next(variant for variant in self.variants.of(stage) if variant.name == name)

    def relative_accuracy(self, variant: Variant) -> float:
        """What the pipeline's accuracy is multiplied by with this variant instead of the reference."""
        reference = self.variants.reference_accuracy
        return variant.accuracy / reference if variant.accuracy is not None and reference else 1.0

    def accuracy(self, combination: Combination) -> float:
        """End-to-end accuracy of a combination; relative to the reference where that is unknown."""
        variants = {stage: self.variant(stage, name) for stage, name in combination}
        if self.judge is not None:
            return self.judge(variants)
        return (self.variants.reference_accuracy or 1.0) * math.prod(map(self.relative_accuracy, variants.values()))

    @cached_property
    def follows(self) -> dict[tuple[str, str], float]:
        """Calls of the second stage for each call of the first, as traced, for stages that follow each other.

        Where a call waits for calls of several stages, each of them counts for its share.
        """
        found: dict[tuple[str, str], float] = {}
        for request in self.graph.requests:
            for call in request.calls:
                before = {request.calls[parent].stage for parent in call.parents}
                for stage in before:
                    found[stage, call.stage] = found.get((stage, call.stage), 0.0) + 1 / len(before)
        count = len(self.graph.requests)
        return {edge: calls / count / self.demand(edge[0]).mean for edge, calls in found.items()}

    def calls(self, combination: Combination) -> dict[str, float]:
        """Mean calls of each stage by a request that is served by this combination."""
        mean = {stage: self.demand(stage).mean for stage in self.graph.stages}
        if not self.fan_out:
            return mean
        chosen = dict(combination)
        found = dict.fromkeys(self.graph.stages, 0.0)
        for stage in self._order:
            follow = [(before, per) for (before, after), per in self.follows.items() if after == stage != before]
            first = mean[stage] - sum(per * mean[before] for before, per in follow)
            for before, per in follow:
                factor = self.fan_out.get((before, chosen[before], stage), 1.0)
                found[stage] += per * factor * found[before]
            found[stage] += first
        return found

    @cached_property
    def _order(self) -> tuple[str, ...]:
        """Stages, each after those that it follows."""
        edges = [edge for edge in self.follows if edge[0] != edge[1]]
        left, found = list(self.graph.stages), list[str]()
        while left:
            free = [stage for stage in left if not any(b in left for b, after in edges if after == stage)]
            if not free:
                raise UsageError(f"stages {', '.join(left)} follow each other in a circle; fan-out needs an order")
            found += free
            left = [stage for stage in left if stage not in free]
        return tuple(found)

    def combinations(self, usable: Mapping[str, tuple[str, ...]]) -> list[Combination] | None:
        """List every combination of these variants, by stage; None where they are too many."""
        names = [[(stage, name) for name in usable[stage]] for stage in self.graph.stages]
        if math.prod(map(len, names)) > MOST_COMBINATIONS:
            return None
        return [tuple(each) for each in product(*names)]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """Interchangeable devices of a fleet: of one type, as large, and as far away."""

    type: DeviceType
    slots: int
    memory_bytes: int | None
    link_ms: float
    """One way from the scheduler."""
    bandwidth_mbit_s: float | None
    """Of that way; None: it is not what limits."""
    units: tuple[Unit, ...]

    @property
    def device(self) -> Device:
        """One of them, nameless."""
        return Device(name=self.type.name, type=self.type, slots=self.slots, memory_bytes=self.memory_bytes)

    def link_s(self, size_bytes: float) -> float:
        """How long so many bytes are on the way there, and a short answer on the way back."""
        sending = size_bytes * 8 / (self.bandwidth_mbit_s * 1e6) if self.bandwidth_mbit_s else 0.0
        return 2 * self.link_ms / 1e3 + sending

    @property
    def links(self) -> int:
        """Nodes that hold them, each with a link of its own."""
        return len({node for node, _ in self.units})


class Task(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything that a plan for a fleet depends on: the same task always gives the same plan."""

    workloads: tuple[Workload, ...]
    fleet: Fleet
    objectives: tuple[Objective, ...] = (Objective.ENERGY,)
    """The first counts most; each later one decides among what is equally good by those before it."""
    mix: bool = False
    """Whether a stage may run several variants at a time, the accuracy then being that of the mean answer."""
    standby: bool = False
    """Devices without work sleep where they can, and so draw their sleep power, instead of being switched off."""
    carbon_g_per_kwh: float | None = None
    now: Mapping[tuple[str, str], int] = {}
    """Devices that are on already, by type and power mode; others must be started."""
    kept: Mapping[Unit, Collection[Configuration]] = {}
    """What devices that sleep still have in memory: it need not be loaded when they are woken now."""
    horizon_s: float = 3600.0
    """For how long the plan is meant to hold: what starting devices costs is spread over it."""
    overhead: Overhead = NO_OVERHEAD
    """Of the server, on a machine of its own."""

    def __post_init__(self) -> None:
        """Refuse what cannot be planned for at all."""
        stages = [stage for workload in self.workloads for stage in workload.graph.stages]
        if not stages:
            raise UsageError("a fleet is planned for at least one pipeline with at least one stage")
        twice = {stage for stage in stages if stages.count(stage) > 1}
        if twice:
            raise UsageError(f"several pipelines have a stage named {', '.join(sorted(twice))}; rename one")
        for workload in self.workloads:
            if not 0 < workload.rate_rps < math.inf:
                raise UsageError(f"the rate must be a positive number of requests per second, got {workload.rate_rps}")
        if Objective.CARBON in self.objectives and self.carbon_g_per_kwh is None:
            raise UsageError("to plan for least carbon, say how many grams of CO2 a kWh costs")

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The fleet's devices, by what tells them apart."""
        found: dict[tuple[str, int, int | None, float, float | None], list[Unit]] = {}
        types = {device.type.name: device.type for device in self.fleet.devices}
        for node in self.fleet.nodes:
            for device in node.devices:
                like = (device.type.name, device.slots, device.memory_bytes, node.link_ms, node.bandwidth_mbit_s)
                found.setdefault(like, []).append((node.name, device.name))
        return tuple(
            Kind(
                type=types[name],
                slots=slots,
                memory_bytes=memory,
                link_ms=link_ms,
                bandwidth_mbit_s=bandwidth,
                units=tuple(units),
            )
            for (name, slots, memory, link_ms, bandwidth), units in found.items()
        )

    @property
    def variants_differ(self) -> bool:
        """Whether variants may differ in more than their accuracy, so that one cannot stand for another."""
        return any(workload.judge is not None or workload.fan_out for workload in self.workloads)

    @cached_property
    def stages(self) -> dict[str, Workload]:
        """Every stage, with the workload that it belongs to."""
        return {stage: workload for workload in self.workloads for stage in workload.graph.stages}
