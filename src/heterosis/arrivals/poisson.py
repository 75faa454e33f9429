"""Independent clients: the Poisson process."""

import numpy as np

from heterosis.arrivals.checks import need_positive


def poisson(rate_rps: float, duration_s: float, seed: int) -> list[float]:
    """Arrivals of independent clients within a duration, ``rate_rps`` a second on average."""
    need_positive(rate_rps=rate_rps, duration_s=duration_s)
    random = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are independent and uniform.
    number = int(random.poisson(rate_rps * duration_s))
    moments: list[float] = np.sort(random.uniform(0, duration_s, number)).tolist()
    return moments


def poisson_count(rate_rps: float, count: int, seed: int) -> list[float]:
    """So many arrivals of independent clients: the gaps are exponential, the first one included."""
    need_positive(rate_rps=rate_rps, count=count)
    random = np.random.default_rng(seed)
    moments: list[float] = np.cumsum(random.exponential(1 / rate_rps, count)).tolist()
    return moments
