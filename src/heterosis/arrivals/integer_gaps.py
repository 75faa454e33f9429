"""The arrivals of KAIROS' published generator, to compare with figures that were had with it.

KAIROS (HPDC'23), artifact: gaps are whole milliseconds, drawn from a Poisson *distribution* of the mean gap. That is no
Poisson *process*, whatever its name says: the gaps of one are exponential, with a coefficient of variation of 1; these
have the variance of a Poisson distribution, so that at 100 requests/s (10 ms) it is 0.32, and the load is far smoother.
Above some 1,000 requests/s most gaps are 0 or 1 ms.
"""

import numpy as np

from heterosis.arrivals.checks import need_positive


def integer_gaps(rate_rps: float, count: int, seed: int) -> list[float]:
    """So many arrivals, with gaps of whole milliseconds from a Poisson distribution of mean ``1000 / rate_rps``."""
    need_positive(rate_rps=rate_rps, count=count)
    random = np.random.default_rng(seed)
    gaps_ms = random.poisson(1e3 / rate_rps, count)
    moments: list[float] = (np.cumsum(gaps_ms) / 1e3).tolist()
    return moments
