"""How long simulated batches run: drawn from the operating points."""

import numpy as np

from heterosis.scheduling.estimates import Estimates
from heterosis.terms import Configuration, Plan


class ServiceTimes:
    """Draws run times whose median, 95th and 99th percentile are those measured.

    Between these percentiles the distribution is linear; it starts as far below the median as the 95th percentile lies
    above it, at half the median at the least, and ends a tenth beyond the 99th percentile.
    """

    def __init__(self, plan: Plan, rng: np.random.Generator, bias: float = 1.0) -> None:
        """Take the plan's operating points; ``bias`` multiplies every time (1.15: 15 % above profile)."""
        self._estimates = Estimates(plan.points)
        self._rng = rng
        self._bias = bias
        self._quantiles: dict[tuple[Configuration, int], tuple[float, ...]] = {}

    def draw(self, configuration: Configuration, batch: int) -> float:
        """Draw the run time of one batch, in seconds."""
        values = self._quantiles.get((configuration, batch))
        if values is None:
            p50, p95, p99 = (self._estimates.quantile(configuration, batch, percent) for percent in (50, 95, 99))
            values = (max(2 * p50 - p95, p50 / 2), p50, p95, p99, 1.1 * p99)
            self._quantiles[configuration, batch] = values
        return float(np.interp(self._rng.random(), (0, 0.5, 0.95, 0.99, 1), values)) * self._bias
