"""Plans: which instances, where, and why."""

from collections.abc import Mapping

import msgspec

from heterosis.terms.energy import UNKNOWN, Energy
from heterosis.terms.overhead import NO_OVERHEAD, Overhead
from heterosis.terms.profile import Configuration, OperatingPoint, Provenance
from heterosis.terms.slo import Slo
from heterosis.terms.variant import Variant

DEFAULT_PREFETCH_BELOW_MS = 5.0


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """One instance that the plan asks for.

    ``slots`` are the slots of ``device`` that it occupies while it runs a batch (cores, for a CPU); two instances may
    name the same slot, and then take turns. An empty tuple leaves sharing to the operating system. ``max_batch`` is the
    most items that it is given at once; a single call of more items still runs, alone.
    """

    instance: str
    configuration: Configuration
    max_batch: int
    node: str
    device: str
    slots: tuple[int, ...]
    accuracy: float | None = None
    """Of its variant (0..1), where that matters to a policy: instances of one stage may run different variants."""
    prefetch_below_ms: float = DEFAULT_PREFETCH_BELOW_MS
    """How short its runs have to be for it to hold one more batch while it runs one, which hides the hop."""

    @property
    def unit(self) -> tuple[str, str]:
        """The node and the device that it is on."""
        return self.node, self.device


class StagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan chose for one stage.

    ``budget_ms`` is the stage's share of the SLO, ``tail_ms`` the time that must be left for what follows it.
    """

    stage: str
    variant: Variant
    budget_ms: float
    tail_ms: float
    demand_per_s: float
    utilisation: float
    batch: int = 1
    """Items that make a batch full."""
    fill_ms: float = 0.0
    """How long a call may wait for a full batch, where its deadline allows; 0: whatever is there is run at once."""
    variants: tuple[Variant, ...] = ()
    """Every variant that its instances run, ``variant`` first; empty where that is the only one."""
    accuracy: float | None = None
    """What the variants that its calls run on must come to on average, where they are of several accuracies."""
    class_accuracy: Mapping[str, float] = {}
    """Likewise for the calls of classes of requests that have a floor of their own."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner expects of the plan at its rate."""

    latency_ms: float
    """At the SLO's percentile."""
    accuracy: float | None = None
    utilisation: float = 0.0
    dynamic_energy_per_request: Energy = UNKNOWN
    power: Energy = UNKNOWN
    """Joules per second of the whole fleet, idle power included."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option that the planner weighed for a stage, and why it was or was not taken."""

    stage: str
    configuration: Configuration
    batch: int
    chosen: bool
    reason: str


class PipelinePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan of several pipelines means for one of them."""

    pipeline: str
    slo: Slo
    rate_rps: float
    stages: tuple[str, ...]
    """Its stages, by the names that they have in the plan; no two pipelines share one."""
    predicted: Prediction


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the best plan would be: its cost, and the operating points that it rests on."""

    cost: float
    """Of a request, or of whatever is to be had least of."""
    uses: frozenset[tuple[Configuration, int]]
    """Configurations with the measured batch sizes next to those that it would run."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances, where, with which latency budget per stage, and why.

    ``points`` are the operating points of the planned configurations at every measured batch size: what the scheduler
    estimates from. ``pipelines`` tells several pipelines apart; empty where all stages belong to one.
    """

    pipeline: str
    slo: Slo
    rate_rps: float
    policy: str
    stages: tuple[StagePlan, ...]
    placements: tuple[Placement, ...]
    points: tuple[OperatingPoint, ...]
    predicted: Prediction
    options: tuple[Option, ...] = ()
    reasons: tuple[str, ...] = ()
    measured: tuple[Provenance, ...] = ()
    """Where the points come from."""
    pipelines: tuple[PipelinePlan, ...] = ()
    overhead: Overhead = NO_OVERHEAD
    """What the server adds to each request."""

    def stage(self, name: str) -> StagePlan:
        """Return what was chosen for a stage."""
        return next(stage for stage in self.stages if stage.stage == name)

    def variant(self, configuration: Configuration) -> Variant:
        """Return the variant that instances of a configuration run."""
        stage = self.stage(configuration.stage)
        if not stage.variants:
            return stage.variant
        for variant in stage.variants:
            if variant.name == configuration.variant:
                return variant
        known = ", ".join(variant.name for variant in stage.variants)
        raise KeyError(f"stage {stage.stage!r} has no variant {configuration.variant!r} in the plan; it has: {known}")
