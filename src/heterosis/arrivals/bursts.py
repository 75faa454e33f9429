"""Bursts: a Poisson process whose rate jumps between two values.

The Markov-modulated Poisson process of two states (Fischer and Meier-Hellstern, "The Markov-modulated Poisson process
(MMPP) cookbook", 1993): times in each state are exponential, and within a state arrivals are a Poisson process.
"""

import numpy as np

from heterosis.arrivals.checks import need_positive
from heterosis.terms.errors import UsageError


def bursts(
    base_rps: float, burst_rps: float, duration_s: float, seed: int, *, base_s: float = 60.0, burst_s: float = 10.0
) -> list[float]:
    """Arrivals at a base rate, which may be 0, broken by bursts at another; starts in the base state.

    ``base_s`` and ``burst_s`` are the mean times from one change to the next. The mean rate over a long time is
    ``(base_rps * base_s + burst_rps * burst_s) / (base_s + burst_s)``.
    """
    need_positive(burst_rps=burst_rps, duration_s=duration_s, base_s=base_s, burst_s=burst_s)
    if not base_rps >= 0:
        raise UsageError(f"the rate between bursts cannot be negative, got {base_rps:g}/s")
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    start, bursting = 0.0, False
    while start < duration_s:
        end = min(start + float(random.exponential(burst_s if bursting else base_s)), duration_s)
        number = int(random.poisson((burst_rps if bursting else base_rps) * (end - start)))
        parts.append(np.sort(random.uniform(start, end, number)))
        start, bursting = end, not bursting
    moments: list[float] = np.concatenate(parts).tolist()
    return moments
