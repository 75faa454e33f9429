"""MostAccurateFirst: which variant of a stage each of its calls is routed to (see `loki`)."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from heterosis.scheduling.policies.early_binding import ALIVE
from heterosis.scheduling.policies.rate import Rate
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View

DEMAND_HORIZON_S = 20.0


@dataclass(slots=True)
class Variant:
    """A variant of a stage: what it carries, its share of the demand, and the calls bound to it."""

    name: str
    accuracy: float
    line: deque[tuple[CallRecord, float]] = field(default_factory=deque)
    """Calls, each with the end of its stage's budget."""
    items_per_s: float = 0.0
    batch_s: float = 0.0
    """How long a full batch takes."""
    share: float = 0.0
    has_left: bool = False
    """Whether it carries more than its share."""
    owed: float = 0.0
    """Calls that it should have had by now and has not, so that the shares are kept evenly over time."""

    def head(self) -> CallRecord | None:
        """Tell the first call that still waits."""
        while self.line and self.line[0][0].state is not CallState.WAITING:
            self.line.popleft()
        return self.line[0][0] if self.line else None

    def items(self, most: int) -> int:
        """Count the items of the batch that its line could fill now."""
        items = 0
        for record, _ in self.line:
            if record.state is CallState.WAITING:
                if items and items + record.call.size > most:
                    break
                items += record.call.size
        return items


class Table:
    """The variants of one stage, the most accurate first, with their shares of its demand."""

    def __init__(self, view: View, stage: str) -> None:
        """Read the variants off the plan; expect the demand that the plan does."""
        self._stage = stage
        accuracies: dict[str, float] = {}
        for placement in view.plan.placements:
            if placement.configuration.stage == stage:
                name = placement.configuration.variant
                known = -1.0 if placement.accuracy is None else placement.accuracy
                accuracies[name] = max(known, accuracies.get(name, known))
        found = [Variant(name, accuracy) for name, accuracy in accuracies.items()]
        self.variants = sorted(found, key=lambda each: -each.accuracy)
        expected = sum(each.demand_per_s for each in view.plan.stages if each.stage == stage)
        self.demand = Rate(DEMAND_HORIZON_S, expected, view.now)
        self.fill(view)

    def fill(self, view: View) -> None:
        """Share the demand out anew, over the instances that are alive."""
        variants = {variant.name: variant for variant in self.variants}
        for each in self.variants:
            each.items_per_s = each.batch_s = 0.0
        sharers = Counter(place for instance in view.instances.values() for place in instance.places)
        for instance in view.instances.values():
            mine = instance.configuration.stage == self._stage and instance.state in ALIVE
            variant = variants.get(instance.configuration.variant) if mine else None
            if variant is not None:  # the plan may have changed just now, and leave it out
                items = instance.placement.max_batch
                batch_s = view.estimates.mean(instance.configuration, items)
                part = 1 / max((sharers[place] for place in instance.places), default=1)
                variant.items_per_s += part * items / batch_s if batch_s else float("inf")
                variant.batch_s = max(variant.batch_s, batch_s)
        demand = self.demand.per_s(view.now)
        shares = most_accurate_first(demand, [each.items_per_s for each in self.variants])
        for each, share in zip(self.variants, shares, strict=True):
            each.share = share
            each.has_left = each.items_per_s > demand * share

    def due(self) -> Variant:
        """Choose the variant that is owed most, and count a call as given to it."""
        for each in self.variants:
            each.owed += each.share
        variant = max(self.variants, key=lambda each: each.owed)
        variant.owed -= 1
        return variant

    def stranded(self) -> list[CallRecord]:
        """Take the waiting calls off variants that have no instance any more, where another has one."""
        found: list[CallRecord] = []
        if any(variant.items_per_s for variant in self.variants):
            for variant in self.variants:
                if not variant.items_per_s:
                    found += [record for record, _ in variant.line if record.state is CallState.WAITING]
                    variant.line.clear()
        return found


def most_accurate_first(demand: float, capacities: Sequence[float]) -> list[float]:
    """Share a demand out over variants, the most accurate first; what they do not carry goes by their capacity."""
    total = sum(capacities)
    if demand <= 0 or not total:
        return [1.0 if position == 0 else 0.0 for position in range(len(capacities))]
    left = demand
    shares = []
    for capacity in capacities:
        taken = min(capacity, left)
        left -= taken
        shares.append(taken / demand)
    if left > 0:
        shares = [capacity / total for capacity in capacities]
    return shares
