"""Cores that the server's own process shares with the instances.

Instances keep to their slots, the server runs wherever there is room. While every core has a batch on it, there is one
more that wants to run than there are cores, and whoever divides them gives each an equal part: n cores among n + 1. So
batches take longer just while a request is read, and requests that come in a crowd are read more slowly, too.
"""

from collections import Counter
from collections.abc import Sequence

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.state import InstanceRecord


class Cores:
    """Who wants to run, and what each of them has lost to the others. Times in seconds."""

    def __init__(self, count: int) -> None:
        """Be idle."""
        self._count = count
        self._batches: Counter[Place] = Counter()
        self._since = 0.0
        self.serving = False
        """Whether the server's own process is at work on a request."""

    @property
    def crowded(self) -> bool:
        """Whether more want to run than there are cores."""
        return self.serving and len(self._batches) >= self._count

    def lost_s(self, now: float) -> float:
        """Return what each that runs has lost since this was last asked. To be asked before anybody comes or goes."""
        lost = (now - self._since) / (self._count + 1) if self.crowded else 0.0
        self._since = now
        return lost

    def take(self, instance: InstanceRecord) -> tuple[Place, ...]:
        """Put a batch on an instance's slots, or behind another there; who has none is on all cores. Return them."""
        every = tuple((*instance.unit, -1 - number) for number in range(self._count))
        slots = instance.places or every
        self._batches.update(slots)
        return slots

    def give(self, slots: Sequence[Place]) -> None:
        """Take a batch away from slots."""
        self._batches.subtract(slots)
        for slot in slots:
            if not self._batches[slot]:
                del self._batches[slot]
