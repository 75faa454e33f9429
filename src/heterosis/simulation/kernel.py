"""The simulation kernel: a clock that jumps to the next event."""

import heapq
import math
from typing import Generic, TypeVar

T = TypeVar("T")


class Kernel(Generic[T]):
    """Events to come, by time, then in the order in which they were set."""

    __slots__ = ("_sequence", "coming", "now")

    def __init__(self) -> None:
        """Start at time 0 with nothing to come."""
        self.now = 0.0
        self.coming: list[tuple[float, int, T]] = []
        """A heap: the next event is the first entry, with its time in front. Read it, but do not change it."""
        self._sequence = 0

    def at(self, time: float, event: T) -> None:
        """Let an event happen at a time (seconds), now at the earliest; one at infinity never happens."""
        if time < math.inf:
            heapq.heappush(self.coming, (max(time, self.now), self._sequence, event))
            self._sequence += 1

    def next(self) -> T | None:
        """Jump to the next event and return it; None when nothing is to come."""
        if not self.coming:
            return None
        self.now, _, event = heapq.heappop(self.coming)
        return event
