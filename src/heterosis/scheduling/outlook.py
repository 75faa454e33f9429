"""What `policies.heterosis` has learnt: how crowded it is, who misses deadlines, what a second on a slot is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from heterosis.scheduling.fairness import Fairness
from heterosis.scheduling.mixing import Mixing
from heterosis.scheduling.prices import Prices
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

MEMORY = 0.01
"""Weight of one call in the share of slots that are found busy."""

CROWDED = 0.97
"""Share of busy slots beyond which only full batches keep up."""

MORE_CAUTION, LESS_CAUTION, MOST_CAUTION = 0.05, 0.002, 3.0
"""How caution grows with each call that is dropped after its request's first stage, and goes with each that is run."""

AT_RISK = 0.7
"""Share of the missed deadlines that the SLO allows, beyond which calls are displaced."""

PAYS = 1.5
"""How many times the mean share of missed deadlines a class has that pays for the others."""


@dataclass(slots=True)
class Outlook:
    """Learns from each call that becomes ready, is run, or is dropped."""

    without: str | None = None
    """The part of the policy that is left out."""
    prices: Prices = field(default_factory=Prices)
    fairness: Fairness = field(default_factory=Fairness)
    mixing: Mixing = field(default_factory=Mixing)
    busy: float = 0.0
    """Share of the slots that calls find busy, smoothed."""
    at_risk: bool = False
    """Whether more deadlines are missed than the SLO allows, or nearly so."""
    caution: float = 1.0
    """How many times the plan's tail is left for what follows a stage: more where much is dropped on the way."""

    def inherit(self, before: "Outlook") -> None:
        """Take over what was learnt under the plan before; prices are of its groups of slots, and learnt anew."""
        self.fairness, self.mixing = before.fairness, before.mixing
        self.busy, self.caution = before.busy, before.caution

    def ready(self, view: View, record: CallRecord, deadline: float) -> None:
        """Take a call into account that became ready and has a deadline of its own."""
        if len(view.capacity.group_slots) > 1:
            self.prices.note(view, record, deadline - view.now)
        busy = view.pools.busy / view.capacity.slots
        self.busy += MEMORY * ((busy if busy < 1 else 1.0) - self.busy)
        self.at_risk = self.fairness.missed > AT_RISK * view.capacity.may_miss

    def started(self, view: View, configuration: Configuration, calls: Sequence[CallRecord], end: float) -> None:
        """Note that calls of a batch are run, and are expected to end at a time."""
        tail = view.capacity.tails[configuration.stage]
        for record in calls:
            self.caution -= LESS_CAUTION * (self.caution - 1)
            self.fairness.note(record.request.request_class, missed=end > record.request.deadline - tail)
        if configuration.stage in view.capacity.least_accuracy:
            self.mixing.note(view, configuration, calls)

    def dropped(self, view: View, record: CallRecord) -> None:
        """Note that a call is given up."""
        self.fairness.note(record.request.request_class, missed=True)
        if view.capacity.tails[record.call.stage] < view.capacity.longest_tail:  # it came a long way for nothing
            self.caution = min(self.caution * (1 + MORE_CAUTION), MOST_CAUTION)

    def price(self, group: int) -> float:
        """What a second on a slot is worth."""
        return 1.0 if self.without == "prices" else self.prices.of(group)

    def tries(self, request_class: str) -> bool:
        """Whether calls of a class are tried that will be in time only on average.

        With the SLO at risk they cost others theirs, so then only where the class pays for the others.
        """
        if self.without == "last_chance":
            return False
        return not self.at_risk or self.weight(request_class) >= PAYS

    def weight(self, request_class: str) -> float:
        """How much sooner than others a class of requests goes."""
        return 1.0 if self.without == "fairness" else self.fairness.weight(request_class)

    def items(self, view: View, configuration: Configuration, size: int) -> int:
        """How many items a batch with a call has to be thought to have.

        In a crowd only full batches keep up, so a call must bear one, lest the most urgent shrink them all.
        """
        most = view.capacity.max_batch[configuration]
        if self.busy <= CROWDED or most <= size:
            return size
        return min(most, size * view.queues[configuration.stage].waiting)
