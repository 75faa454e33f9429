"""How to profile, what is told while it goes on, and the clock that it keeps to."""

import time
from collections.abc import Mapping

import msgspec

from heterosis.terms import OperatingPoint

BATCHES = (1, 2, 4, 8, 16, 32)

LONGEST_POINT_S = 1.5
SHORTEST_POINT_S = 0.15
POINTS = 3
"""How many batch sizes a configuration usually has, before larger ones stop paying."""
MEASURED = 0.6
"""Of all configurations, the share that usually is not dominated, and so measured."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to profile.

    - ``threads``: the numbers of threads to try; 0 is the engine's own choice, on all cores. By default one and as many
      as there are cores.
    - ``cap_ms``: a batch that takes longer ends the search for larger ones. By default the pipeline's SLO.
    - ``most_calls``: how many calls of a stage can ever wait together, for the stages where that is known.
    - ``budget_s``: the time it should all take. Where it is short, so is the sampling, and in the end all but one
      point of each variant is left out. A later run with a larger one goes on from there.
    - ``most_waiting``: points in the store whose ``waiting_ratio`` is above it are measured anew. By default none are.
    """

    threads: tuple[int, ...] | None = None
    batches: tuple[int, ...] = BATCHES
    cap_ms: float | None = None
    most_calls: Mapping[str, int] = {}
    budget_s: float = 165.0
    most_waiting: float = 1.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A point that is measured next (``point`` None), or is known now. ``done`` of ``total`` points are settled.

    Points that need no measuring, for whatever reason, count as settled.
    """

    stage: str
    variant: str
    threads: int
    batch: int
    done: int
    total: int
    point: OperatingPoint | None = None


class Budget:
    """The time that profiling should take, shared out evenly to its configurations, and the count of settled points.

    A configuration gets its part of what is left when its turn comes: what one leaves over goes to those after it.
    """

    def __init__(self, seconds: float, configurations: int, batches: int) -> None:
        """Start now; ``batches`` are the points that each configuration could have."""
        self.seconds = seconds
        self.total = configurations * batches
        self.done = 0
        self._left = configurations
        self._batches = batches
        self._ends = time.monotonic() + seconds
        self._turn_ends = self._ends

    def begin(self) -> None:
        """Give the next configuration its time."""
        now = time.monotonic()
        self._turn_ends = now + (self._ends - now) / max(1.0, MEASURED * self._left)
        self._left -= 1

    def end(self) -> None:
        """Count all points of this configuration as settled."""
        self.done = self.total - self._left * self._batches

    @property
    def over(self) -> bool:
        """Whether the time of this configuration is up."""
        return time.monotonic() >= self._turn_ends

    def seconds_per_point(self) -> float:
        """How long a point of this configuration may be sampled; warming up for it may take as long again."""
        share = (self._turn_ends - time.monotonic()) / POINTS / 2
        return min(LONGEST_POINT_S, max(SHORTEST_POINT_S, share))
