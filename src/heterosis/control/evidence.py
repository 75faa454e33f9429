"""What tells a slow device from slow inputs: run times as multiples of the profiled ones, by stage and by request.

How long a stage runs hangs on what it is given: a page full of text takes longer than a blank one, and all batches of a
request are of the same page. So a request counts once, by the median of its batches. And what makes a device slow slows
whatever runs there, but inputs that take longer do so in their stage: where a device runs several stages, none of them
may say otherwise (`verdict`).
"""

import math
import statistics
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

WINDOW_S = 8.0
"""What a device is judged by."""
MOST, FEWEST = 64, 8
"""Requests of a stage in that time, at the most and at the least."""
NOTICED = 1.25
"""Ratio of what is measured to what is assumed, either way, that is acted upon."""
AGREED = 1.12
"""Ratio by which every other stage has to differ as well, in the same direction."""
SIGMAS = 4.0
"""Standard errors of the median, of the logarithms of ratios, that a difference must be larger than."""
OF_THE_MEDIAN = 1.75
"""Standard error of a median, in standard deviations of what it is of, over the root of how many there are: of values
that are spread evenly, which profiles' nearly are, the square root of 3. Of normal ones it would be 1.25."""
USUAL, OF_A_BATCH = 0.15, 0.02
"""How far logarithms of ratios are off at first, on average, and how much one batch counts in that."""


class Shift(NamedTuple):
    """By how much a stage differs on a device, as a logarithm."""

    middle: float
    """The median over the requests of the last seconds."""
    error: float
    """Its standard error."""
    latest: float
    """The median over the last few requests."""


@dataclass(slots=True)
class _Asked:
    """A request's batches of a stage on a device."""

    request: str
    at: float
    ratios: list[float]
    ratio: float
    """Their median."""
    spread: float


@dataclass(slots=True)
class Evidence:
    """How long one stage runs on one device, as logarithms of multiples of the profiled times."""

    usual: float = USUAL
    """How far these are off usually, on average."""
    _asked: deque[_Asked] = field(default_factory=lambda: deque(maxlen=MOST))
    _middle: float | None = None
    """The median of late."""

    def add(self, request: str, ratio: float, spread: float, assumed: float, now: float) -> None:
        """Take a batch of a request; ``spread`` is its standard deviation by the profile."""
        known = next((each for each in reversed(self._asked) if each.request == request), None)
        if known is None:
            self._asked.append(_Asked(request, now, [ratio], ratio, spread))
        else:
            known.at, known.ratios = now, [*known.ratios[1 - MOST :], ratio]
            known.ratio = statistics.median(known.ratios)
        about = assumed if self._middle is None else self._middle  # that a device has changed is no spread
        self.usual += OF_A_BATCH * (abs(ratio - about) - self.usual)

    @property
    def latest_at(self) -> float:
        """When the last batch ended."""
        return max((each.at for each in self._asked), default=-math.inf)

    def forget(self, before: float) -> None:
        """Leave out what is older, but for the last request."""
        while len(self._asked) > 1 and self._asked[0].at < before:
            self._asked.popleft()

    def begin_anew(self) -> None:
        """Leave out all but the last request: the device is taken for another from now on."""
        self.forget(math.inf)

    def shift(self) -> Shift | None:
        """What there is to say; None where that is too little."""
        if len(self._asked) < FEWEST:
            return None
        medians = [each.ratio for each in self._asked]
        middle = self._middle = statistics.median(medians)
        own = 1.4826 * statistics.median(abs(each - middle) for each in medians)
        spread = statistics.fmean(each.spread for each in self._asked)
        # By their own spread, the usual one (which is a mean of deviations), or the profile's.
        error = OF_THE_MEDIAN * max(own, 1.2533 * self.usual, spread) / math.sqrt(len(medians))
        return Shift(middle, error, statistics.median(medians[-FEWEST:]))


def verdict(stages: Collection[Shift], assumed: float) -> float | None:
    """Return the logarithm of what a device's times are multiples of, where it differs from what is assumed.

    One stage differs by more than chance, and no other contradicts.
    """
    sure = [
        each.middle - assumed
        for each in stages
        if abs(each.middle - assumed) >= max(math.log(NOTICED), SIGMAS * each.error)
    ]
    if not sure:
        return None
    side = math.copysign(1.0, sure[0])
    if any(side * (each.middle - assumed) < math.log(AGREED) for each in stages):
        return None
    weights = [each.error**-2 for each in stages]
    return sum(weight * each.latest for weight, each in zip(weights, stages, strict=True)) / sum(weights)
