"""How to profile, what is told while it goes on, and the clock that it keeps to."""

import time
from collections.abc import Mapping

import msgspec

from heterosis.terms import OperatingPoint

BATCHES = (1, 2, 4, 8, 16, 32)

LONGEST_POINT_S = 2.0
SHORTEST_POINT_S = 0.2
EXPECTED_POINTS = 0.3
"""Of all the points that could be measured, the share that pruning usually leaves."""
SAMPLING = 0.4
"""Of the time, what goes into sampling; the rest goes into starting processes, loading and warming up."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to profile.

    - ``threads``: the numbers of threads to try; 0 is the engine's own choice, on all cores. By default 1 and all.
    - ``cap_ms``: a batch that takes longer ends the search for larger ones. By default the pipeline's SLO.
    - ``most_calls``: how many calls of a stage can ever wait together, for the stages where that is known.
    - ``budget_s``: the time it should all take. It shortens the sampling; at its end, all but one point of each variant
      is left out.
    """

    threads: tuple[int, ...] | None = None
    batches: tuple[int, ...] = BATCHES
    cap_ms: float | None = None
    most_calls: Mapping[str, int] = {}
    budget_s: float = 150.0


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
    """The time that profiling should take, and the points to be settled in it."""

    def __init__(self, seconds: float, total: int) -> None:
        """Start now."""
        self.seconds = seconds
        self.total = total
        self.done = 0
        self._ends = time.monotonic() + seconds

    @property
    def over(self) -> str | None:
        """Say so once the time is up."""
        return f"the time budget of {self.seconds:g} s was over" if time.monotonic() > self._ends else None

    def seconds_per_point(self) -> float:
        """A fair share of the time that is left."""
        points = max(1.0, EXPECTED_POINTS * (self.total - self.done))
        return min(LONGEST_POINT_S, max(SHORTEST_POINT_S, SAMPLING * (self._ends - time.monotonic()) / points))
