"""Means of repeated runs, and how well they are known."""

from collections.abc import Sequence

import numpy as np


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of independent runs, and its 95 % Student t interval; one run has no spread."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, mean, mean
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
