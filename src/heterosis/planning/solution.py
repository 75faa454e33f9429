"""An answer to the planner's problem, and what it amounts to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from heterosis.planning.demand import Path
from heterosis.planning.options import Candidate
from heterosis.planning.packing import Packing, pack
from heterosis.planning.problem import TOLERANCE, Combination, Limits, Problem
from heterosis.planning.wait import wait_factor


@dataclass(frozen=True)
class Solution:
    """One option for every stage."""

    problem: Problem
    options: Mapping[str, Candidate]

    @cached_property
    def packings(self) -> list[Packing]:
        """The slots of every device, shared out."""
        return pack(self.options.values())

    @property
    def starts(self) -> dict[str, int]:
        """First slot of each stage's instances."""
        return {stage: start for packing in self.packings for stage, start in packing.starts.items()}

    @property
    def load_ms(self) -> float:
        """Time that the busiest slot gives to a request, its part of the server's own work included."""
        return max(packing.load_ms for packing in self.packings) + self.problem.overhead.slot_ms

    @property
    def cost(self) -> float:
        """Of a request, in the objective's unit."""
        return sum(map(self.problem.objective.of, self.options.values()))

    @property
    def combination(self) -> Combination:
        """The variants chosen."""
        return frozenset((stage, each.variant.name) for stage, each in self.options.items())

    @property
    def accuracy(self) -> float | None:
        """Of the pipeline, were the losses of its variants independent of each other; None where it is unknown."""
        reference = self.problem.reference_accuracy
        if reference is None:
            return None
        return reference * math.prod(each.relative_accuracy for each in self.options.values())

    def utilisation(self, rate_rps: float) -> float:
        """Share of the time that the busiest slot is busy."""
        return rate_rps * self.load_ms / 1e3

    def path_ms(self, path: Path) -> float:
        """Latency along a path, at the percentile, of a request that has the fleet for itself.

        Stages beside the path take turns with it on the same slots: list scheduling on ``c`` slots ends within the path
        and a ``c``-th of all other work (Graham 1966).
        """
        beside = sum(self.options[stage].beside_ms for stage in self.problem.paths[path])
        return self.problem.overhead.wall_ms + sum(self.options[stage].latency_ms for stage in path) + beside

    @property
    def alone_ms(self) -> float:
        """Latency, at the percentile, of a request that has the fleet for itself."""
        return max(map(self.path_ms, self.problem.paths))

    @property
    def longest_path(self) -> Path:
        """The path whose own stages take longest."""
        return max(self.problem.paths, key=lambda path: sum(self.options[stage].latency_ms for stage in path))

    @property
    def waits_for_ms(self) -> float:
        """Time that slots give to each request ahead, over all stages: what waits are multiples of."""
        return sum(each.load_ms for each in self.options.values())

    def latency_ms(self, rate_rps: float) -> float:
        """Latency at the percentile, waits included."""
        factor = wait_factor(self.utilisation(rate_rps), self.problem.percentile, self.problem.variation)
        return self.alone_ms + factor * self.waits_for_ms

    def needed_ms(self, rate_rps: float) -> float:
        """The SLO that the plan needs: its latency, with the wait at the next utilisation of the grid."""
        utilisation = self.utilisation(rate_rps)
        factors = (factor for rho, factor in self.problem.grid if utilisation <= rho * (1 + TOLERANCE))
        return self.alone_ms + next(factors, math.inf) * self.waits_for_ms

    def memory_share(self) -> float:
        """Share of its memory that the fullest device gives."""
        shares = [0.0]
        for device in {(each.node, each.device) for each in self.options.values()}:
            here = [each.memory_bytes for each in self.options.values() if (each.node, each.device) == device]
            shares.append(sum(here) / (device[1].memory_bytes or math.inf))
        return max(shares)

    def keeps(self, limits: Limits) -> bool:
        """Whether it is within the limits, save the last digits."""
        accuracy, floor = self.accuracy, limits.min_accuracy
        return (
            self.needed_ms(limits.rate_rps) <= limits.latency_ms * (1 + TOLERANCE)
            and (not limits.memory or self.memory_share() <= 1 + TOLERANCE)
            and (accuracy is None or floor is None or accuracy >= floor * (1 - TOLERANCE))
            and self.combination not in limits.forbidden
            and len({each.mode for each in self.options.values()})
            == len({each.mode[:2] for each in self.options.values()})
        )
