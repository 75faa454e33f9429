"""What follows from a plan alone: who shares slots, how deep instances are filled, how much work a request is."""

from collections import Counter

from heterosis.scheduling.estimates import Estimates
from heterosis.terms import Configuration, Placement, Plan

PREFETCH_BELOW_S = 0.005

Place = tuple[str, str, int]
"""A slot, unique in the fleet: node, device, number."""


def places(placement: Placement) -> tuple[Place, ...]:
    """The slots that an instance occupies while it runs a batch."""
    return tuple((placement.node, placement.device, slot) for slot in placement.slots)


class Capacity:
    """Figures of one plan; times in seconds."""

    def __init__(self, plan: Plan) -> None:
        """Read them off the plan and its operating points."""
        self._estimates = estimates = Estimates(plan.points)
        self._sharers = Counter(place for placement in plan.placements for place in places(placement))
        self.slots = max(len(self._sharers), 1)
        """Distinct slots of all instances."""
        found: dict[str, dict[Configuration, int]] = {}
        for placement in plan.placements:
            configuration = placement.configuration
            found.setdefault(configuration.stage, {}).setdefault(configuration, placement.max_batch)
        self.configurations: dict[str, tuple[Configuration, ...]] = {stage: tuple(of) for stage, of in found.items()}
        """The configurations that each stage has instances of."""
        self.tails = {stage.stage: stage.tail_ms / 1e3 for stage in plan.stages}
        """Time that must be left for what follows each stage."""
        self.work_per_call = {
            stage: min(
                estimates.mean(configuration, batch) / batch * max(configuration.threads, 1)
                for configuration, batch in of.items()
            )
            for stage, of in found.items()
        }
        """Slot time of one call of each stage, in a full batch."""
        self.work_per_request = sum(
            self.work_per_call.get(stage.stage, 0.0) * stage.demand_per_s / plan.rate_rps for stage in plan.stages
        )
        """Slot time that a request is expected to need."""

    def depth(self, placement: Placement) -> int:
        """Batches that an instance may hold: two where they are short and its slots its own, so that the hop is hidden.

        Where slots are shared, a batch held in advance would keep another stage off them.
        """
        if not placement.prefetch:
            return 1
        alone = bool(placement.slots) and all(self._sharers[place] == 1 for place in places(placement))
        return 2 if alone and 0 < self._estimates.mean(placement.configuration, 1) < PREFETCH_BELOW_S else 1
