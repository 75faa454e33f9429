"""The planner's problem in its own terms: options, limits, and how options add up to a request."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
import numpy as np

from heterosis.planning.demand import Path, rivals
from heterosis.planning.objective import Objective, objective
from heterosis.planning.options import Candidate, enumerate_options
from heterosis.planning.snapshot import Snapshot
from heterosis.planning.wait import utilisation_grid, wait_factor, work_variation
from heterosis.terms import NO_OVERHEAD, Option, Overhead
from heterosis.terms.errors import UsageError

Combination = frozenset[tuple[str, str]]
"""A variant for every stage, as pairs of names."""

TOLERANCE = 1e-6
"""Relative: what a limit may be missed by in a computer's arithmetic."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer must keep."""

    latency_ms: float = math.inf
    rate_rps: float = 0.0
    min_accuracy: float | None = None
    memory: bool = True
    forbidden: tuple[Combination, ...] = ()
    """Combinations of variants that were measured and found wanting."""

    @staticmethod
    def of(snapshot: Snapshot) -> "Limits":
        """Return what a snapshot asks for."""
        slo = snapshot.slo
        return Limits(latency_ms=slo.latency_ms, rate_rps=snapshot.rate_rps, min_accuracy=slo.min_accuracy)


@dataclass(frozen=True)
class Problem:
    """The options of each stage, in order of preference, and how they add up to a request."""

    candidates: Mapping[str, tuple[Candidate, ...]]
    refused: tuple[Option, ...]
    paths: Mapping[Path, tuple[str, ...]]
    """Every path through the stages, with the stages that may run beside it."""
    percentile: float
    variation: float
    reference_accuracy: float | None
    objective: Objective
    overhead: Overhead = NO_OVERHEAD
    """What the server adds to each request."""

    @staticmethod
    def of(snapshot: Snapshot) -> "Problem":
        """Work out a snapshot. Raise UsageError for a stage that the profile has no usable option of."""
        found, refused = enumerate_options(snapshot)
        stages = snapshot.graph.stages
        candidates = {stage: tuple(each for each in found if each.stage == stage) for stage in stages}
        for stage in stages:
            if not candidates[stage]:
                reasons = sorted({option.reason for option in refused if option.stage == stage})
                why = "; ".join(reasons) or "it was not measured; profile it, with samples that call it"
                raise UsageError(f"the profile has no option of stage {stage!r} that this fleet can run: {why}")
        return Problem(
            candidates=candidates,
            refused=refused,
            paths=rivals(snapshot.graph),
            percentile=snapshot.slo.percentile,
            variation=work_variation(snapshot.graph),
            reference_accuracy=snapshot.variants.reference_accuracy,
            objective=objective(found),
            overhead=snapshot.overhead,
        )

    @cached_property
    def grid(self) -> tuple[tuple[float, float], ...]:
        """Utilisations of the busiest slot to plan for, ascending, each with its wait factor."""
        grid = utilisation_grid(self.percentile)
        return tuple((rho, wait_factor(rho, self.percentile, self.variation)) for rho in grid)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """A typical cost and latency of a request: the sums of the stages' least."""
        cost = sum(min(map(self.objective.of, each)) for each in self.candidates.values())
        return cost or 1.0, sum(self.least_ms.values()) or 1.0

    @cached_property
    def best_accuracy(self) -> dict[str, float]:
        """The greatest relative accuracy of each stage."""
        return {stage: max(each.relative_accuracy for each in of) for stage, of in self.candidates.items()}

    @cached_property
    def least_ms(self) -> dict[str, float]:
        """The least latency of each stage."""
        return {stage: min(each.latency_ms for each in of) for stage, of in self.candidates.items()}

    def fastest_ms(self, option: Candidate) -> float:
        """Latency on an idle fleet with this option, and the fastest of every other stage on its path."""
        least = {**self.least_ms, option.stage: option.latency_ms}
        along = (sum(map(least.__getitem__, path)) for path in self.paths if option.stage in path)
        return self.overhead.wall_ms + max(along, default=0.0)

    def only(self, stage: str, candidates: Iterable[Candidate]) -> "Problem":
        """Return the problem with no other options of a stage than these."""
        return replace(self, candidates={**self.candidates, stage: tuple(candidates)})

    def undominated(self) -> "Problem":
        """Return the problem without the options that another option of the same variant is as good as, in every way.

        An option of another variant does not make one superfluous: a combination of variants may yet be forbidden.
        """
        kept = {}
        for stage, options in self.candidates.items():
            better = dominators(self.objective, options, by=[option.variant.name for option in options])
            kept[stage] = tuple(option for option, other in zip(options, better, strict=True) if other is None)
        return replace(self, candidates=kept)


def dominators(
    cost: Objective, options: Sequence[Candidate], by: Sequence[str] | None = None
) -> list[Candidate | None]:
    """Return for each option of a stage another that could replace it in any plan, at no loss of anything, or None.

    Of equal options, the first is as good as the later ones. ``by`` has the kinds of the options, where only one of the
    same kind may replace them.
    """
    if not options:
        return []
    figures = np.array([_figures(cost, option) for option in options])
    places = [(option.mode, kind) for option, kind in zip(options, by or [""] * len(options), strict=True)]
    kinds = np.array([places.index(place) for place in places])
    order = np.arange(len(options))
    no_worse = (figures[:, None] <= figures).all(axis=-1) & (kinds[:, None] == kinds)
    better = no_worse & (~no_worse.T | (order[:, None] < order))
    return [options[first] if found else None for first, found in zip(better.argmax(0), better.any(0), strict=True)]


def _figures(cost: Objective, option: Candidate) -> tuple[float, ...]:
    # An option of fewer slots, none of them busier, fits wherever the other does.
    return (
        cost.of(option),
        option.latency_ms,
        option.beside_ms,
        option.slots,
        option.load_ms,
        option.memory_bytes,
        -option.relative_accuracy,
    )
