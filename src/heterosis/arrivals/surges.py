"""Surges on the shape of a day: the rate rises and falls as a sine, and now and then doubles or trebles for a while.

A surge grows and wanes, as flash crowds do (Ari et al., "Managing flash crowds on the Internet", MASCOTS 2003): by half
a sine. Drawn by thinning, like `diurnal`; the seed decides when surges come, too.
"""

import math

import numpy as np
from numpy.typing import NDArray

from heterosis.arrivals.checks import need_positive
from heterosis.terms.errors import UsageError

Floats = NDArray[np.float64]


def surges(  # noqa: PLR0913 - one for each thing that shapes a day
    mean_rps: float,
    duration_s: float,
    seed: int,
    *,
    count: int = 1,
    ratio: float = 3.0,
    surge_s: float | None = None,
    peak_ratio: float = 1.8,
    period_s: float | None = None,
) -> list[float]:
    """Arrivals of a day (by default as long as the load) with surges.

    At the height of each of ``count`` surges, ``surge_s`` long (by default a tenth of the load) and one in each part of
    the load of equal length, there come ``ratio`` times as many as without it. The mean rate is that with them;
    ``peak_ratio`` is that of `diurnal`.
    """
    surge_s = duration_s / 10 if surge_s is None else surge_s
    need_positive(mean_rps=mean_rps, duration_s=duration_s, surge_s=surge_s)
    if not (1 <= peak_ratio <= 2 and ratio >= 1 and count * surge_s <= duration_s):  # noqa: PLR2004 - below none at night
        raise UsageError(
            "the peak of a day is 1 to 2 times its mean, and surges, which all fit in the load, multiply by 1 or more; "
            f"got {peak_ratio:g}, and {count} surges of {surge_s:g} s by {ratio:g} in {duration_s:g} s"
        )
    random = np.random.default_rng(seed)
    part_s = duration_s / max(count, 1)
    begins = np.arange(count) * part_s + random.uniform(0, part_s - surge_s, count)

    def shape(at: Floats) -> Floats:
        """The rate, as a multiple of a day's mean without surges."""
        of_day = 1 - (peak_ratio - 1) * np.cos(2 * math.pi * at / (period_s or duration_s))
        since = at[:, None] - begins
        grown = np.where((since > 0) & (since < surge_s), np.sin(math.pi * since / surge_s), 0.0)
        rate: Floats = of_day * (1 + (ratio - 1) * grown.sum(axis=1))
        return rate

    most = peak_ratio * ratio
    usual_rps = mean_rps / float(shape(np.linspace(0, duration_s, 10_001)).mean())
    at_most = np.sort(random.uniform(0, duration_s, int(random.poisson(usual_rps * most * duration_s))))
    moments: list[float] = at_most[random.uniform(size=len(at_most)) < shape(at_most) / most].tolist()
    return moments
