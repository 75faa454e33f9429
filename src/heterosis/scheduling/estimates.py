"""How long a batch will take: the profile's figures, corrected by what was seen since."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import erf
from typing import NamedTuple

from heterosis.scheduling.remembered import Remembered
from heterosis.terms import Configuration, OperatingPoint

PERCENTS = (50, 95, 99)
SAFE_PERCENT = 95
"""The percentile of a run time that has to fit before a deadline."""
SMOOTHING = 0.05
"""Weight of one batch in the drift; small, since real inputs differ by more than devices drift."""
LEAST_RATIO, MOST_RATIO = 0.1, 10.0
"""What a batch's ratio counts for, so that one outlier moves the drift by no more than half."""


SIGMAS, ALL_SIGMAS = 1.645, 4.0
"""Standard deviations of a normal distribution to its 95th percentile, and to where hardly anything is left."""


def in_time(within_s: float, mean_s: float, safe_s: float) -> float:
    """Chance that a run ends within a time: of a normal distribution, by its mean and its 95th percentile."""
    beyond_s, deviation_s = within_s - mean_s, (safe_s - mean_s) / SIGMAS
    if abs(beyond_s) >= ALL_SIGMAS * deviation_s:
        return 1.0 if beyond_s >= 0 else 0.0
    return 0.5 + 0.5 * erf(beyond_s / (deviation_s * 2**0.5))


class Estimates:
    """Latency by configuration and batch size, in seconds.

    Between measured batch sizes a figure is interpolated, beyond them extrapolated in proportion. A configuration's
    *drift* is the smoothed ratio of measured to expected mean time; every figure is multiplied by it.
    """

    def __init__(self, points: Iterable[OperatingPoint], drift: Mapping[Configuration, float] | None = None) -> None:
        """Start from operating points, and the drift known so far."""
        self._points: dict[Configuration, list[OperatingPoint]] = defaultdict(list)
        for point in sorted(points, key=lambda point: point.batch):
            self._points[point.configuration].append(point)
        self.drift: dict[Configuration, float] = defaultdict(lambda: 1.0, drift or {})
        self._known: Mapping[tuple[Configuration, int], _Figures] = Remembered(self._find)
        """Figures without drift, as they are asked for: dispatching asks for the same few again and again."""

    def mean(self, configuration: Configuration, batch: int) -> float:
        """Mean run time of a batch; 0 where nothing is known."""
        return self._known[configuration, batch].mean_s * self.drift[configuration]

    def quantile(self, configuration: Configuration, batch: int, percent: int) -> float:
        """50th, 95th or 99th percentile of the run time of a batch; 0 where nothing is known."""
        return self._known[configuration, batch].quantiles_s[percent] * self.drift[configuration]

    def joules(self, configuration: Configuration, batch: int) -> float | None:
        """Dynamic energy of each item of a batch; None where unknown."""
        return self._known[configuration, batch].joules_per_item

    def times(self, configuration: Configuration, batch: int, percent: int) -> tuple[float, float]:
        """Mean and a percentile of the run time of a batch, looked up at once."""
        known = self._known[configuration, batch]
        drift = self.drift[configuration]
        return known.mean_s * drift, known.quantiles_s[percent] * drift

    def observe(self, configuration: Configuration, batch: int, run_s: float) -> None:
        """Take a measured batch into the drift."""
        drift = self.drift[configuration]
        expected = self._known[configuration, batch].mean_s
        if expected > 0:
            ratio = run_s / expected
            if not LEAST_RATIO < ratio < MOST_RATIO:
                ratio = min(max(ratio, LEAST_RATIO), MOST_RATIO)
            self.drift[configuration] = drift + SMOOTHING * (ratio - drift)

    def _find(self, key: tuple[Configuration, int]) -> "_Figures":
        configuration, batch = key
        points = self._points.get(configuration)
        if not points:
            return _Figures(0.0, dict.fromkeys(PERCENTS, 0.0), None)
        nearest = points[min(bisect_left(points, batch, key=lambda point: point.batch), len(points) - 1)]
        return _Figures(
            _interpolated(points, batch, "mean_ms"),
            {percent: _interpolated(points, batch, f"p{percent}_ms") for percent in PERCENTS},
            nearest.energy_per_item.joules,
        )


class _Figures(NamedTuple):
    """What the profile says of a configuration at a batch size."""

    mean_s: float
    quantiles_s: dict[int, float]
    joules_per_item: float | None


def _interpolated(points: list[OperatingPoint], batch: int, figure: str) -> float:
    """A figure of the latency at a batch size, in seconds; ``points`` by batch size."""
    upper = bisect_left(points, batch, key=lambda point: point.batch)
    if upper == len(points):
        value = getattr(points[-1].latency, figure) * batch / points[-1].batch
    elif points[upper].batch == batch or upper == 0:
        value = getattr(points[upper].latency, figure)
    else:
        low, high = points[upper - 1], points[upper]
        share = (batch - low.batch) / (high.batch - low.batch)
        below, above = getattr(low.latency, figure), getattr(high.latency, figure)
        value = below + share * (above - below)
    return float(value) / 1e3
