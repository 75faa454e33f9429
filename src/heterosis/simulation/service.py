"""How long simulated batches run."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from heterosis.scheduling.estimates import Estimates
from heterosis.terms import Configuration, Plan
from heterosis.terms.profile import QUANTILES_AT, quantiles


class Service(Protocol):
    """Draws run times."""

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:
        """Draw the run time of one batch of so many items, in seconds."""
        ...


class MeasuredTimes:
    """Draws run times whose median, 95th and 99th percentile are those of the plan's operating points (`quantiles`)."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan's operating points."""
        self._estimates = Estimates(plan.points)
        self._quantiles: dict[tuple[Configuration, int], tuple[float, ...]] = {}

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:
        """See `Service.draw`."""
        values = self._quantiles.get((configuration, size))
        if values is None:
            values = quantiles(*(self._estimates.quantile(configuration, size, percent) for percent in (50, 95, 99)))
            self._quantiles[configuration, size] = values
        share = rng.random()
        part = bisect_right(QUANTILES_AT, share)  # numpy takes several times as long for a single value
        low, high = QUANTILES_AT[part - 1], QUANTILES_AT[part]
        return values[part - 1] + (values[part] - values[part - 1]) * (share - low) / (high - low)


class LogNormalTimes:
    """The mean of the operating points times lognormal noise of mean 1; ``cv`` is its coefficient of variation."""

    def __init__(self, plan: Plan, cv: float | Mapping[Configuration, float]) -> None:
        """Take the plan's operating points, and the noise: one figure, or one for each configuration."""
        self._estimates = Estimates(plan.points)
        self._sigmas: dict[Configuration, float] = {}
        for configuration in {point.configuration for point in plan.points}:
            ratio = cv if isinstance(cv, float | int) else cv[configuration]
            self._sigmas[configuration] = float(np.sqrt(np.log1p(ratio**2)))

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:
        """See `Service.draw`."""
        sigma = self._sigmas[configuration]
        return self._estimates.mean(configuration, size) * float(np.exp(rng.normal(-(sigma**2) / 2, sigma)))


class EmpiricalTimes:
    """Measured run times (seconds), drawn with replacement: samples by configuration and number of items."""

    def __init__(self, samples: Mapping[tuple[Configuration, int], Sequence[float]]) -> None:
        """Take the samples; a size that has none takes those of the next larger size that has."""
        self._samples = {key: list(values) for key, values in samples.items()}
        self._sizes: dict[Configuration, list[int]] = {}
        for configuration, size in sorted(self._samples, key=lambda key: key[1]):
            self._sizes.setdefault(configuration, []).append(size)

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:
        """See `Service.draw`. Raise KeyError beyond the largest size that has samples."""
        values = self._samples.get((configuration, size))
        if values is None:
            larger = next((each for each in self._sizes[configuration] if each >= size), None)
            if larger is None:
                raise KeyError(f"no measured run time of {size} items of {configuration}")
            values = self._samples[configuration, size] = self._samples[configuration, larger]
        return values[int(rng.random() * len(values))]
