"""What the planner sees."""

from collections.abc import Mapping

import msgspec

from heterosis.terms import NO_OVERHEAD, Fleet, Overhead, PipelineGraph, Profile, Slo, VariantSet
from heterosis.terms.errors import UsageError


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a plan depends on: the same snapshot always gives the same plan."""

    graph: PipelineGraph
    slo: Slo
    rate_rps: float
    variants: VariantSet
    profile: Profile
    fleet: Fleet
    overhead: Overhead = NO_OVERHEAD
    """Of the server, on a device of this fleet."""

    def __post_init__(self) -> None:
        """Refuse what cannot be planned for at all."""
        if not 0 < self.rate_rps < float("inf"):
            raise UsageError(f"the rate must be a positive number of requests per second, got {self.rate_rps}")
        if not self.graph.paths():
            raise UsageError(f"the samples of {self.graph.pipeline!r} call no stage; trace it on samples that do")
        for stage in self.graph.stages:
            if not self.variants.of(stage):
                raise UsageError(f"stage {stage!r} of {self.graph.pipeline!r} has no variant; make some first")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan did when it was tried: in the simulator, or live."""

    latency_ms: float
    """At the SLO's percentile."""
    attainment: float
    """Share of the requests (0..1) answered in time."""
    by_pipeline: Mapping[str, float] = {}
    """The same of each pipeline's requests, where there are several."""
