"""How long a batch will take: the profile's figures, corrected by what was seen since."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping

from heterosis.terms import Configuration, OperatingPoint

SMOOTHING = 0.05
"""Weight of one batch in the drift; small, since real inputs differ by more than devices drift."""


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
        self.drift: dict[Configuration, float] = dict(drift or {})
        self._known: dict[tuple[Configuration, int, str], float] = {}
        """Figures without drift, as they are asked for: dispatching asks for the same few again and again."""

    def knows(self, configuration: Configuration) -> bool:
        """Whether any operating point of the configuration is known."""
        return configuration in self._points

    def mean(self, configuration: Configuration, batch: int) -> float:
        """Mean run time of a batch; 0 where nothing is known."""
        return self._at(configuration, batch, "mean_ms")

    def quantile(self, configuration: Configuration, batch: int, percent: int) -> float:
        """50th, 95th or 99th percentile of the run time of a batch; 0 where nothing is known."""
        return self._at(configuration, batch, f"p{percent}_ms")

    def joules(self, configuration: Configuration, batch: int) -> float | None:
        """Dynamic energy of each item of a batch; None where unknown."""
        points = self._points.get(configuration)
        if not points:
            return None
        nearest = points[min(bisect_left([point.batch for point in points], batch), len(points) - 1)]
        return nearest.energy_per_item.joules

    def observe(self, configuration: Configuration, batch: int, run_s: float) -> None:
        """Take a measured batch into the drift."""
        drift = self.drift.get(configuration, 1.0)
        expected = self.mean(configuration, batch) / drift
        if expected > 0:
            ratio = min(max(run_s / expected, 0.1), 10.0)  # one outlier moves the drift by no more than half
            self.drift[configuration] = drift + SMOOTHING * (ratio - drift)

    def _at(self, configuration: Configuration, batch: int, figure: str) -> float:
        value = self._known.get((configuration, batch, figure))
        if value is None:
            value = self._known[configuration, batch, figure] = self._interpolated(configuration, batch, figure)
        return value * self.drift.get(configuration, 1.0)

    def _interpolated(self, configuration: Configuration, batch: int, figure: str) -> float:
        points = self._points.get(configuration)
        if not points:
            return 0.0
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
