"""The work that admitted requests still need, by how long their deadlines were at their arrival."""

from collections import defaultdict
from math import log2

BINS_PER_OCTAVE = 4
MEMORY = 0.02
"""Weight of one batch in `Backlog.strain`."""


class Backlog:
    """Slot time that the requests in progress are expected to need, in seconds."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self.strain = 1.0
        """What batches really take, against full batches on the configuration that needs the least; smoothed."""
        self.pressed_strain = 1.0
        """The same of batches that left calls waiting, with their way there and back: what work takes in a crowd."""
        self._work: dict[int, float] = defaultdict(float)
        self._requests = 0

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self._work.values())

    def before(self, limit_s: float) -> float:
        """The part of it that is due before the deadline of a request that arrives now, ``limit_s`` from now.

        Of requests that had more time than that, the earlier ones are due before it: as large a share of them as its
        time is of theirs, if they came evenly.
        """
        total = 0.0
        for at, work in self._work.items():
            total += work * min(1.0, limit_s / 2 ** (at / BINS_PER_OCTAVE))
        return total

    def entered(self, limit_s: float, work_s: float) -> int:
        """Take a request in; return the bin to name when its work is done."""
        at = round(BINS_PER_OCTAVE * log2(max(limit_s, 1e-6)))
        self._work[at] += work_s
        self._requests += 1
        return at

    def worked(self, at: int, work_s: float) -> None:
        """Take off what was done of a request of a bin."""
        self._work[at] -= work_s

    def ended(self, at: int, work_left_s: float) -> None:
        """Let go of a request and of what it no longer needs."""
        self._requests -= 1
        self._work[at] -= work_left_s
        if not self._requests:
            self._work.clear()  # what rounding has left

    def measured(self, work_s: float, slot_time_s: float, kept_s: float | None) -> None:
        """Compare the work that a batch did with the slot time that it took.

        ``kept_s`` is what it kept its slots for in all, if it left calls waiting.
        """
        if work_s > 0:
            self.strain += MEMORY * (min(slot_time_s / work_s, 10.0) - self.strain)
            if kept_s is not None:
                self.pressed_strain += MEMORY * (min(kept_s / work_s, 10.0) - self.pressed_strain)
