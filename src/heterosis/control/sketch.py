"""Quantiles of many values in little memory.

DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
PVLDB 12(12), 2019, algorithms 1 to 4): values are counted in bins whose bounds grow by a constant ratio, so that a
quantile is within `ACCURACY` of a value that was really seen. Of more than `MOST_BINS`, the lowest are taken together:
it is the high quantiles that promises are made of.
"""

import math

ACCURACY = 0.01
"""Relative error of a quantile."""
MOST_BINS = 1024
SMALLEST = 1e-9
"""What is no larger counts as this."""

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)


class Sketch:
    """Values above 0, by how many there were of about each."""

    __slots__ = ("_bins", "count", "largest", "total")

    def __init__(self) -> None:
        """Start empty."""
        self.count = 0
        self.total = self.largest = 0.0
        self._bins: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Take a value."""
        number = math.ceil(math.log(max(value, SMALLEST)) / _LOG_GAMMA)
        self._bins[number] = self._bins.get(number, 0) + 1
        self.count += 1
        self.total += value
        self.largest = max(self.largest, value)
        if len(self._bins) > MOST_BINS:
            self._collapse()

    @property
    def mean(self) -> float:
        """The mean, exactly; 0 where there was no value."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, percent: float) -> float | None:
        """Return a percentile; None where there was no value."""
        rank, seen = percent / 100 * (self.count - 1), 0
        for number in sorted(self._bins):
            seen += self._bins[number]
            if seen > rank:
                return min(2 * _GAMMA**number / (_GAMMA + 1), self.largest)
        return None

    def _collapse(self) -> None:
        lowest, following, *_ = sorted(self._bins)
        self._bins[following] += self._bins.pop(lowest)
