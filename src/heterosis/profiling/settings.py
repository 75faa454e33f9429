"""How to profile, what is told while it goes on, and the clock that it keeps to."""

import time

import msgspec

from heterosis.terms import DEFAULT_MODE, OperatingPoint

BATCHES = (1, 2, 4, 8, 16, 32)

LONGEST_POINT_S = 1.5
SHORTEST_POINT_S = 0.15
YET_TO_COME = 30
"""Points that are usually found worth measuring after those that are wanted now."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to profile.

    - ``threads``: the numbers of threads to try; 0 is the engine's own choice, on all cores. By default one and as many
      as there are cores.
    - ``modes``: the power modes of the device to try, `default` being the one that it is in.
    - ``cap_ms``: a batch that takes longer ends the search for larger ones. By default the pipeline's SLO.
    - ``budget_s``: the time it should all take. Where it is short, so is the sampling, and in the end all but the
      coarse grid is left out. A later run with a larger one goes on from there.
    - ``most_waiting``: points in the store whose ``waiting_ratio`` is above it are measured anew. By default none are.
    """

    threads: tuple[int, ...] | None = None
    batches: tuple[int, ...] = BATCHES
    modes: tuple[str, ...] = (DEFAULT_MODE,)
    cap_ms: float | None = None
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
    """The time that profiling should take, and the count of points that are settled, of those known to be wanted."""

    def __init__(self, seconds: float) -> None:
        """Start now."""
        self.seconds = seconds
        self.total = 0
        self.done = 0
        self._ends = time.monotonic() + seconds

    def expect(self, points: int) -> None:
        """Learn that so many more points are wanted."""
        self.total = self.done + points

    def settle(self) -> None:
        """Count one of them as settled."""
        self.done += 1

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._ends

    def seconds_per_point(self) -> float:
        """How long the next point may be sampled; warming up for it may take as long again."""
        share = (self._ends - time.monotonic()) / (self.total - self.done + YET_TO_COME) / 2
        return min(LONGEST_POINT_S, max(SHORTEST_POINT_S, share))
