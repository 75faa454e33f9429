"""What the largest queries lose even when nobody else is served: a yardstick for how far they can be spared.

Few machines can run them in time, and by chance too many of them come at once. This is measured by policies that know
no more than they do in the study; it is no bound for one who knows the future.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heterosis.studies.kairos.latencies import runs_of
from heterosis.studies.kairos.load import REQUESTS, simulate
from heterosis.studies.kairos.plans import plan_of
from heterosis.studies.kairos.setting import MODELS, SIZES, shares

DECILE = 0.1


class LargestSizes:
    """The tenth of `QuerySizes` that has the most items."""

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """Draw so many sizes, independently."""
        below = np.cumsum(shares())
        found = np.searchsorted(below / below[-1], 1 - DECILE * rng.random(count))
        return [SIZES[position] for position in found.tolist()]


def lost_alone(
    model: str, policy: str, qps: float, *, seed: int = 0, requests: int = REQUESTS, data: Path | None = None
) -> float:
    """Share (0..1) of the largest tenth that is violated at a load from which all other queries are left out.

    A tenth of a Poisson process, drawn by lot, is one of a tenth of the rate.
    """
    kind, runs = MODELS[model], runs_of(model, data)
    plan = plan_of(kind, kind.pool, runs, policy, DECILE * qps)
    return float(simulate(plan, runs, LargestSizes(), seed=seed, requests=requests).records.violated.mean())
