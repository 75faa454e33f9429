"""The setting of KAIROS: five recommendation models, four machine types, sizes, prices.

KAIROS (Li et al., "KAIROS: Building Cost-Efficient Machine Learning Inference Systems with Heterogeneous Cloud
Resources", HPDC'23, §7 and its public artifact, MIT licence). One query is one batch of 1..1000 items; it runs on one
machine, alone. A pool is a number of machines of each type. Departures: the published load generator draws gaps of
whole milliseconds from a Poisson distribution, which is no Poisson process; here the gaps are exponential. And the
items of a query are ranked one by one, so a policy may split it; of those compared ours alone does.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

from heterosis.planning.pools import Pool
from heterosis.simulation import Shares

TYPES = ("g4dn.xlarge", "c5n.2xlarge", "r5n.large", "t3.xlarge")
"""Machine types, the base type (a GPU) first; a pool counts machines in this order."""
PRICES = {"g4dn.xlarge": 0.526, "c5n.2xlarge": 0.432, "r5n.large": 0.149, "t3.xlarge": 0.1664}
"""Price per hour in dollars (artifact, ``price.csv``)."""
BUDGET_PER_HOUR = 2.5
STEP = 10
"""Sizes are rounded up to multiples of this many items; these are what was measured."""
SIZES = tuple(range(STEP, 1000 + STEP, STEP))
ALLOWED_VIOLATIONS = 0.01
"""The objective is a 99th percentile."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model: its latency objective, and the pool that KAIROS' upper bound ranks first within the budget."""

    name: str
    latency_ms: float
    pool: Pool


MODELS = {
    model.name: model
    for model in (
        Model(name="ncf", latency_ms=5, pool=(1, 0, 13, 0)),
        Model(name="rm2", latency_ms=350, pool=(1, 0, 13, 0)),
        Model(name="wnd", latency_ms=25, pool=(1, 0, 13, 0)),
        Model(name="mtwnd", latency_ms=25, pool=(2, 0, 9, 0)),
        Model(name="dien", latency_ms=35, pool=(2, 0, 9, 0)),
    )
}


class QuerySizes:
    """The artifact's mixture of sizes: mostly 100..200 items, with a long tail up to 1000.

    Of 99 parts, 8 are uniform over 1..99, 22 over 200..599, 5 over 600..999; the other 64 are lognormal (5.1, 0.2), and
    where that falls outside 100..200, uniform over 190..199. All are rounded up to multiples of 10.
    """

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """Draw so many sizes, independently."""
        return Shares(SIZES, shares()).draw(rng, count)


@lru_cache
def shares() -> tuple[float, ...]:
    """The share of the queries that has each of `SIZES`; they add up to 1."""
    found = np.zeros(len(SIZES))
    for first, last, parts in ((1, 99, 8), (200, 599, 22), (600, 999, 5)):
        found += parts / 99 * _uniform(first, last)
    between = [_lognormal_below(min(max(edge, 100), 200)) for edge in (0, *SIZES)]
    inside = np.diff(between)
    found += 64 / 99 * (inside + (1 - inside.sum()) * _uniform(190, 199))
    return tuple(found.tolist())


def _uniform(first: int, last: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    numbers = np.arange(first, last + 1)
    return np.bincount(-(-numbers // STEP) - 1, minlength=len(SIZES)) / len(numbers)


def _lognormal_below(size: float) -> float:
    return 0.5 * (1 + math.erf((math.log(size) - 5.1) / (0.2 * math.sqrt(2))))
