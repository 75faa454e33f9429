"""The simulation kernel: a clock that jumps to the next event."""

import heapq
import math
from typing import Generic, TypeVar

T = TypeVar("T")


class Kernel(Generic[T]):
    """Events to come, by time, then in the order in which they were set."""

    def __init__(self) -> None:
        """Start at time 0 with nothing to come."""
        self.now = 0.0
        self._heap: list[tuple[float, int, T]] = []
        self._sequence = 0

    def at(self, time: float, event: T) -> None:
        """Let an event happen at a time (seconds), now at the earliest; one at infinity never happens."""
        if time < math.inf:
            heapq.heappush(self._heap, (max(time, self.now), self._sequence, event))
            self._sequence += 1

    @property
    def next_at(self) -> float:
        """When the next event happens; infinity when nothing is to come."""
        return self._heap[0][0] if self._heap else math.inf

    def next(self) -> T | None:
        """Jump to the next event and return it; None when nothing is to come."""
        if not self._heap:
            return None
        self.now, _, event = heapq.heappop(self._heap)
        return event
