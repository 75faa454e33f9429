"""Distributions of sizes: how many items the calls of a request have. Each is a `Sizes` of `workload`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same size."""

    size: int

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:  # noqa: ARG002 - nothing to draw
        """See `Sizes.draw`."""
        return [self.size] * count


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every size from ``least`` to ``most``, both included, as often as any other."""

    least: int
    most: int

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """See `Sizes.draw`."""
        sizes: list[int] = rng.integers(self.least, self.most, count, endpoint=True).tolist()
        return sizes


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Sizes whose logarithm is normal, with mean ``mu`` and standard deviation ``sigma``: the median is ``exp(mu)``.

    Rounded up, and clipped to ``least`` and ``most``.
    """

    mu: float
    sigma: float
    least: int = 1
    most: int | None = None

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """See `Sizes.draw`."""
        drawn = np.ceil(rng.lognormal(self.mu, self.sigma, count))
        sizes: list[int] = np.clip(drawn, self.least, self.most).astype(int).tolist()
        return sizes


@dataclass(frozen=True, slots=True)
class Empirical:
    """Observed sizes, drawn with replacement."""

    sizes: tuple[int, ...]

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """See `Sizes.draw`."""
        sizes: list[int] = rng.choice(self.sizes, count).tolist()
        return sizes


@dataclass(frozen=True, slots=True)
class Shares:
    """Each of some sizes with its own share of the draws; the shares add up to anything above 0."""

    sizes: tuple[int, ...]
    shares: tuple[float, ...]

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """See `Sizes.draw`."""
        below = np.cumsum(self.shares)
        found = np.searchsorted(below / below[-1], rng.random(count), side="right")
        return [self.sizes[position] for position in found.tolist()]
