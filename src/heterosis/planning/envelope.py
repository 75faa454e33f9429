"""Arrival envelopes: the highest rates of late, in windows from a fraction of a second to a minute.

InferLine (Crankshaw et al., SoCC 2020, section 5) compares them with those of the load that was planned for: short
windows tell of bursts, long ones of a rate that has changed, both as soon as they can be told from chance. What a load
of random arrivals shows by chance is worked out here (`poisson_envelope`), and turned round: `least_rate` is the
lowest rate that what was seen is not too unlikely for.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heterosis.terms.errors import UsageError

BINS = 4
"""Parts of the shortest window. Windows begin where a part does: a burst may count with up to one part of it cut off.
"""
LONGEST_S = 60.0

Rates = tuple[float, ...]
"""Per second, one for each window, from the shortest to the longest."""


class Envelope:
    """Counts arrivals; its memory is bounded, however many come.

    Of the windows that lie wholly in the last ``memory_s`` seconds (by default as long as the longest window), those
    with most arrivals count. The moments told to it are seconds, and never run backwards by more than that.
    """

    def __init__(self, shortest_s: float, longest_s: float = LONGEST_S, memory_s: float = 0.0) -> None:
        """Take windows of ``shortest_s`` and doubled from there, up to ``longest_s``."""
        if not 0 < shortest_s <= longest_s < math.inf:
            raise UsageError(f"windows grow from more than 0 s, got {shortest_s:g} s to {longest_s:g} s")
        doublings = int(math.log2(longest_s / shortest_s) + 1e-9)
        self.windows_s = tuple(shortest_s * 2.0**doubling for doubling in range(doublings + 1))
        self._bin_s = shortest_s / BINS
        self._counts = np.zeros(max(BINS * 2**doublings, math.ceil(memory_s / self._bin_s)), np.int64)
        self._newest: int | None = None

    @property
    def starts(self) -> int:
        """At how many moments of what is remembered a window may begin, at the most."""
        return len(self._counts)

    def note(self, at: float, arrivals: int = 1) -> None:
        """Count arrivals at a moment; what lies before all that is remembered is ignored."""
        number = self._advance(at)
        if number is not None:
            self._counts[number % len(self._counts)] += arrivals

    def rates(self, now: float) -> Rates:
        """Tell the highest rate of each window; what is not a window old counts as if nothing had come before."""
        self._advance(now)
        if not self._counts.any():
            return (0.0,) * len(self.windows_s)
        oldest = ((self._newest or 0) + 1) % len(self._counts)
        total = np.concatenate(([0], self._counts[oldest:], self._counts[:oldest])).cumsum()
        lengths = [BINS * 2**doubling for doubling in range(len(self.windows_s))]
        most = [int((total[length:] - total[:-length]).max()) for length in lengths]
        return tuple(count / window_s for count, window_s in zip(most, self.windows_s, strict=True))

    def _advance(self, moment: float) -> int | None:
        """Forget what is too old at a moment; return the number of its part, None where that is forgotten itself."""
        number = math.floor(moment / self._bin_s)
        size = len(self._counts)
        newest = number if self._newest is None else self._newest
        if number > newest:
            first, last = max(newest + 1, number - size + 1) % size, number % size
            if first <= last:
                self._counts[first : last + 1] = 0
            else:
                self._counts[first:] = 0
                self._counts[: last + 1] = 0
        self._newest = max(number, newest)
        return None if number <= self._newest - size else number


def exceeds(rates: Rates, planned: Rates) -> bool:
    """Whether an envelope lies above the planned one in any window."""
    return any(rate > allowed for rate, allowed in zip(rates, planned, strict=True))


def poisson_envelope(
    rate: float, windows_s: Sequence[float], starts: int, *, confidence: float = 0.999, dispersion: float = 1.0
) -> Rates:
    """Return the envelope that random arrivals at a rate stay within with this confidence.

    For ``starts`` moments at which a window may begin, by the union bound over them and over the windows. Burstier
    arrivals, whose counts have ``dispersion`` times the variance of their mean, count as that many that come together.
    """
    from scipy.special import pdtrik

    chance = _chance(windows_s, starts, confidence)
    windows = np.asarray(windows_s)
    most = dispersion * (pdtrik(1 - chance, rate * windows / dispersion) + 1)
    return tuple((most / windows).tolist())


def least_rate(
    rates: Rates, windows_s: Sequence[float], starts: int, *, confidence: float = 0.999, dispersion: float = 1.0
) -> float:
    """Return the lowest rate whose envelope (see `poisson_envelope`) these rates do not exceed: what surely comes."""
    from scipy.special import gammaincinv

    windows = np.asarray(windows_s)
    seen: NDArray[np.float64] = np.asarray(rates) * windows / dispersion
    chance = _chance(windows_s, starts, confidence)
    some = seen > 0
    # So many or more of a Poisson number of mean m come with the chance that a sum of so many exponentials is below m.
    means = gammaincinv(seen[some], chance)
    return float((dispersion * means / windows[some]).max(initial=0.0))


def _chance(windows_s: Sequence[float], starts: int, confidence: float) -> float:
    return (1 - confidence) / (starts * len(windows_s))
