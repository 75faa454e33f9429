"""The shape of a day: a Poisson process whose rate rises and falls as a sine.

Drawn by thinning (Lewis and Shedler, 1979): arrivals at the peak rate, each kept with the probability that the rate of
its moment is of the peak.
"""

import math

import numpy as np

from heterosis.arrivals.checks import need_positive
from heterosis.terms.errors import UsageError

DAY_S = 86400.0


def diurnal(
    mean_rps: float, duration_s: float, seed: int, *, peak_ratio: float = 2.0, period_s: float = DAY_S
) -> list[float]:
    """Arrivals at a rate that starts at its least, at night, and is ``peak_ratio`` times its mean half a period later.

    ``peak_ratio`` lies between 1 (no shape) and 2 (nothing at night).
    """
    need_positive(mean_rps=mean_rps, duration_s=duration_s, period_s=period_s)
    if not 1 <= peak_ratio <= 2:  # noqa: PLR2004 - beyond it the rate at night is negative
        raise UsageError(f"the peak of a day is 1 to 2 times its mean, got {peak_ratio:g}")
    random = np.random.default_rng(seed)
    number = int(random.poisson(mean_rps * peak_ratio * duration_s))
    at_peak = np.sort(random.uniform(0, duration_s, number))
    share = (1 - (peak_ratio - 1) * np.cos(2 * math.pi * at_peak / period_s)) / peak_ratio
    moments: list[float] = at_peak[random.uniform(size=number) < share].tolist()
    return moments
