"""How sure an accuracy is that was measured on so many samples: 95 % confidence intervals.

Sources: Wilson's score interval (JASA 1927) where samples are right or wrong; Agresti and Min's interval of a
difference of matched pairs (Statistics in Medicine, 2005), half an observation added to each cell; Efron's percentile
bootstrap (1979) for anything between.
"""

from collections.abc import Sequence

import numpy as np

Z = 1.959964
RESAMPLES = 4000
SEED = 1

Interval = tuple[float, float]


def mean_interval(scores: Sequence[float]) -> Interval | None:
    """Return the interval of the mean of scores (0..1); None for fewer than two."""
    if len(scores) < 2:  # noqa: PLR2004
        return None
    if set(scores) <= {0.0, 1.0}:
        return _wilson(sum(scores), len(scores))
    return _bootstrap(scores)


def change_interval(scores: Sequence[float], reference: Sequence[float]) -> Interval | None:
    """Return the interval of the mean difference of scores from the reference's on the same samples."""
    differences = [a - b for a, b in zip(scores, reference, strict=True)]
    if len(differences) < 2:  # noqa: PLR2004
        return None
    if {*scores, *reference} <= {0.0, 1.0}:  # also where none differs: a few samples do not prove that none ever does
        return _matched_pairs(differences.count(1.0), differences.count(-1.0), len(differences))
    return _bootstrap(differences)


def _wilson(right: float, total: int) -> Interval:
    share = right / total
    centre = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * np.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _matched_pairs(better: int, worse: int, total: int) -> Interval:
    up, down, count = better + 0.5, worse + 0.5, total + 2
    centre = (up - down) / count
    half = Z * float(np.sqrt(up + down - (up - down) ** 2 / count)) / count
    return max(-1.0, centre - half), min(1.0, centre + half)


def _bootstrap(values: Sequence[float]) -> Interval:
    draw = np.random.default_rng(SEED)
    array = np.asarray(values, np.float64)
    means = array[draw.integers(0, len(array), (RESAMPLES, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
