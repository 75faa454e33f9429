"""The allowable load: the largest one that leaves at most a hundredth of the queries violated.

The measure is ill-conditioned: near one per cent violations grow slowly with the load, so a few queries more or less
move it by several per cent. Hence *common random numbers* (a seed has the same queries at every load, see `load`), the
mean over all seeds at each load, and an interval: the loads at which a violation rate of one per cent lies within
Student's 95 % interval over the seeds.
"""

from collections.abc import Callable
from itertools import pairwise

import msgspec
import numpy as np

from heterosis.simulation.repetition import interval
from heterosis.studies.kairos.setting import ALLOWED_VIOLATIONS

FINE = 1.005
"""Ratio of neighbouring loads of the fine search."""
COARSE = 1.04
"""Ratio at which the coarse search ends."""
COARSE_SEEDS = 2
REACH = 8
"""Steps of the fine search to either side of what the coarse one found."""
MOST_REACHES = 5
LEAST_SHARE = 1e-3
"""Below this share of the bound, no load is allowable."""

Violations = Callable[[float, int], float]
"""Share of violations at a load (queries per second), by seed."""


class Allowable(msgspec.Struct, frozen=True, kw_only=True):
    """The largest allowable load in queries per second, with its 95 % interval, where it is known."""

    qps: float
    ci_low: float | None
    ci_high: float | None


def rough_qps(violations: Violations, bound: float) -> float:
    """Find the allowable load to about one per cent, below a bound, from few seeds; 0 where none is."""

    def mean(qps: float) -> float:
        return float(np.mean([violations(qps, seed) for seed in range(COARSE_SEEDS)]))

    high, above = bound, mean(bound)
    if above <= ALLOWED_VIOLATIONS:
        return bound
    while True:
        low, below = high / 2, mean(high / 2)
        if below <= ALLOWED_VIOLATIONS:
            break
        if low < LEAST_SHARE * bound:
            return 0.0
        high, above = low, below
    while high / low > COARSE:
        middle = float(np.sqrt(low * high))
        share = mean(middle)
        if share <= ALLOWED_VIOLATIONS:
            low, below = middle, share
        else:
            high, above = middle, share
    return _between(low, below, high, above)


def allowable_qps(violations: Violations, about: float, seeds: int, *, with_interval: bool = True) -> Allowable:
    """Find the allowable load over so many seeds, near a first guess (see `rough_qps`).

    Most of the time goes into the interval.
    """
    if about == 0:
        return Allowable(qps=0.0, ci_low=0.0, ci_high=0.0)
    curve = _Curve(violations, about, seeds)
    curve.bracket("mean")
    low, high = curve.around("mean")
    while high - low > 1:
        curve.at((low + high) // 2)
        low, high = curve.around("mean")
    if seeds == 1 or not with_interval:
        return Allowable(qps=curve.crossing("mean"), ci_low=None, ci_high=None)
    for limit in ("upper", "lower"):
        curve.bracket(limit)
    return Allowable(qps=curve.crossing("mean"), ci_low=curve.crossing("upper"), ci_high=curve.crossing("lower"))


class _Curve:
    """Violations over all seeds at loads on a fine lattice around a first guess."""

    def __init__(self, violations: Violations, about: float, seeds: int) -> None:
        self._violations, self._about, self._seeds = violations, about, seeds
        self._found: dict[int, dict[str, float]] = {}

    def qps(self, place: int) -> float:
        """The load at a place of the lattice."""
        return float(self._about * FINE**place)

    def at(self, place: int) -> dict[str, float]:
        """The mean over the seeds, and the limits of its interval."""
        found = self._found.get(place)
        if found is None:
            each = [self._violations(self.qps(place), seed) for seed in range(self._seeds)]
            known = interval(each)
            low, high = (known.mean if end is None else end for end in (known.low, known.high))
            found = self._found[place] = {"mean": known.mean, "upper": high, "lower": low}
        return found

    def bracket(self, figure: str) -> None:
        """Look further and further, until a figure is allowed at one load, and not at another."""
        if not self._found:
            self.at(-REACH)
            self.at(REACH)
        for step in (REACH * 2**number for number in range(MOST_REACHES)):
            if self.at(min(self._found))[figure] > ALLOWED_VIOLATIONS:
                self.at(min(self._found) - step)
            elif self.at(max(self._found))[figure] <= ALLOWED_VIOLATIONS:
                self.at(max(self._found) + step)
            else:
                return

    def around(self, figure: str) -> tuple[int, int]:
        """The neighbouring places between which a figure comes to exceed the allowed violations.

        The first such; for the lower limit the last, since it need not grow with the load.
        """
        pairs = list(pairwise(sorted(self._found)))
        for low, high in reversed(pairs) if figure == "lower" else pairs:
            below, above = (self._found[place][figure] for place in (low, high))
            if below <= ALLOWED_VIOLATIONS < above:
                return low, high
        end = max(self._found) if self._found[max(self._found)][figure] <= ALLOWED_VIOLATIONS else min(self._found)
        return end, end

    def crossing(self, figure: str) -> float:
        """The load at which a figure first exceeds the allowed violations."""
        low, high = self.around(figure)
        return _between(self.qps(low), self._found[low][figure], self.qps(high), self._found[high][figure])


def _between(low: float, below: float, high: float, above: float) -> float:
    """The load between two at which the violations are the allowed ones, were they linear."""
    if above <= below:
        return low
    share = (ALLOWED_VIOLATIONS - below) / (above - below)
    return low + min(max(share, 0.0), 1.0) * (high - low)
