"""What a configuration takes at any batch size, from the sizes it was measured at."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from heterosis.planning.demand import Demand
from heterosis.terms import UNKNOWN, Configuration, Energy, OperatingPoint, Quality

NOTHING = Energy(0.0, Quality.COUNTER)
"""The sum of no energies: known, and to add to it spoils no quality."""


class Curve:
    """The operating points of one configuration, interpolated to every batch size up to the largest measured.

    Figures are of one batch and indexed by its size; below the smallest measured size they are that size's.
    """

    def __init__(self, points: Sequence[OperatingPoint]) -> None:
        """Take the points of one configuration, in any order."""
        self.points = {point.batch: point for point in sorted(points, key=lambda point: point.batch)}
        self.mean_ms = self._fill(lambda point: point.latency.mean_ms)
        self.cpu_ms = self._fill(lambda point: point.cpu_ms)
        energies = [point.dynamic_energy for point in self.points.values()]
        if any(energy.joules is None for energy in energies):
            self.energy = [UNKNOWN] * len(self.mean_ms)
        else:
            quality = sum(energies, start=NOTHING).quality
            joules = self._fill(lambda point: point.dynamic_energy.joules or 0.0)
            self.energy = [Energy(value, quality) for value in joules]
        self._quantiles_ms = (
            self._fill(lambda point: point.latency.p50_ms),
            self._fill(lambda point: point.latency.p95_ms),
            self._fill(lambda point: point.latency.p99_ms),
        )

    def _fill(self, figure: Callable[[OperatingPoint], float]) -> list[float]:
        measured = list(self.points)
        every = np.arange(max(measured) + 1)
        return [float(value) for value in np.interp(every, measured, [figure(self.points[at]) for at in measured])]

    def at_least(self, batch: int) -> OperatingPoint:
        """The smallest of the points that were measured at no smaller a batch."""
        return next(point for size, point in self.points.items() if size >= batch)

    def quantile_ms(self, batch: int, percent: float) -> float:
        """Time of a batch at a percentile, interpolated between the 50th, 95th and 99th, which stands for more, too."""
        return float(np.interp(percent, (50, 95, 99), [figures[batch] for figures in self._quantiles_ms]))

    def stage_ms(self, width: int, batch: int, instances: int, percent: float) -> float:
        """Time until ``width`` calls that are ready together are done, spread evenly over the instances."""
        filled = fill(width, batch, instances)
        rounds = math.ceil(width / (instances * filled))
        return (rounds - 1) * self.mean_ms[filled] + self.quantile_ms(filled, percent)

    def run_ms(self, width: int, batch: int, instances: int) -> float:
        """Mean run time, summed over batches, of ``width`` calls that are ready together."""
        filled = fill(width, batch, instances)
        return width / filled * self.mean_ms[filled]

    def per_request(self, wanted: Demand, batch: int, instances: int) -> tuple[float, float, Energy]:
        """Mean run time (ms, summed over batches), CPU time (ms) and dynamic energy of a request's calls of a stage."""
        run_ms, cpu_ms, energy = 0.0, 0.0, NOTHING
        for width, times in wanted.sizes.items():
            filled = fill(width, batch, instances)
            batches = times * width / filled
            run_ms += batches * self.mean_ms[filled]
            cpu_ms += batches * self.cpu_ms[filled]
            energy += self.energy[filled] * batches
        return run_ms, cpu_ms, energy


def curves(points: Iterable[OperatingPoint]) -> dict[Configuration, Curve]:
    """Return the curve of every configuration that there are points of."""
    measured: dict[Configuration, list[OperatingPoint]] = defaultdict(list)
    for point in points:
        measured[point.configuration].append(point)
    return {configuration: Curve(of) for configuration, of in measured.items()}


def fill(width: int, batch: int, instances: int) -> int:
    """Return how full the batches are when ``width`` calls are spread evenly over the instances."""
    return min(batch, math.ceil(width / instances))
