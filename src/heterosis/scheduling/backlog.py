"""The work that admitted requests still need, by how long their deadlines were at their arrival."""

from collections import defaultdict
from collections.abc import Mapping
from math import log2

from heterosis.scheduling.remembered import Remembered

BINS_PER_OCTAVE = 4
MEMORY = 0.02
"""Weight of one batch in `Backlog.strain`."""
MOST_STRAIN = 10.0

SHORTEST_S = 1e-6

_LIMITS_S: Mapping[float, float] = Remembered(lambda number: 2 ** (number / BINS_PER_OCTAVE))
"""How long deadlines of each bin are taken to be."""


class Backlog:
    """Slot time that the requests in progress are expected to need, in seconds."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self.strain = 1.0
        """What batches really take, against full batches on the configuration that needs the least; smoothed."""
        self.pressed_strain = 1.0
        """The same of batches that left calls waiting, with their way there and back: what work takes in a crowd."""
        self._work: dict[float, float] = defaultdict(float)
        """By how long the deadlines are: bins of them."""
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
        for their_limit_s, work in self._work.items():
            total += work if their_limit_s <= limit_s else work * (limit_s / their_limit_s)
        return total

    def entered(self, limit_s: float, work_s: float) -> float:
        """Take a request in; return the bin to name when its work is done."""
        at = _LIMITS_S[(BINS_PER_OCTAVE * log2(limit_s if limit_s > SHORTEST_S else SHORTEST_S) + 0.5) // 1]
        self._work[at] += work_s
        self._requests += 1
        return at

    def worked(self, at: float, work_s: float) -> None:
        """Take off what was done of a request of a bin."""
        self._work[at] -= work_s

    def ended(self, at: float, work_left_s: float) -> None:
        """Let go of a request and of what it no longer needs."""
        self._requests -= 1
        self._work[at] -= work_left_s
        if not self._requests:
            self._work.clear()  # what rounding has left

    def measured(self, work_s: float, slot_time_s: float, kept_s: float | None) -> None:
        """Compare the work that a batch did with the slot time that it took.

        ``kept_s`` is what it kept its slots for in all, if it left calls waiting.
        """
        if work_s <= 0:
            return
        strain = slot_time_s / work_s
        self.strain += MEMORY * ((strain if strain < MOST_STRAIN else MOST_STRAIN) - self.strain)
        if kept_s is not None:
            strain = kept_s / work_s
            self.pressed_strain += MEMORY * ((strain if strain < MOST_STRAIN else MOST_STRAIN) - self.pressed_strain)
