"""The rate to plan for: what this time of day usually brings, as much more or less as of late, and a margin.

Two smoothed figures (Winters, "Forecasting sales by exponentially weighted moving averages", 1960, with a multiplied
season): one of each part of the day, over the days; and one of the last minutes, as a multiple of what is usual at that
time. The margin is the quantile of the errors of past forecasts that were made as far ahead (split conformal
prediction: Vovk et al., "Algorithmic Learning in a Random World", 2005), so it is right whatever their distribution, as
long as that does not change.
"""

import math
from collections import deque

from heterosis.terms.errors import UsageError

DAY_S = 86400.0
OF_A_DAY = 0.3
"""Weight of the newest day in what is usual."""
FEWEST = 20
"""Past errors without which no margin is known."""


class Forecast:
    """Learns from the rates of intervals that are over, in order; it never looks ahead."""

    def __init__(
        self,
        lead_s: float,
        *,
        period_s: float = DAY_S,
        parts: int = 96,
        recent_s: float = 600.0,
        errors: int = 1000,
    ) -> None:
        """Forecast for ``lead_s`` ahead.

        A period repeats itself, in ``parts`` parts; ``recent_s`` is the time constant of what is recent. Margins are
        those of the last ``errors`` forecasts.
        """
        if not (lead_s >= 0 and period_s > 0 and parts >= 1 and recent_s > 0 and errors >= 1):
            raise UsageError("a forecast needs a lead of 0 s or more, and a period, parts, memory and errors above 0")
        self._lead_s, self._period_s, self._recent_s = lead_s, period_s, recent_s
        self._usual: list[float | None] = [None] * parts
        self._today: tuple[int, float, float] | None = None
        """Number of the part of time that runs, and the sum of its rates, weighted by the seconds of the sum."""
        self._level: float | None = None
        self._usual_level = 0.0
        self._at = -math.inf
        self._made: deque[tuple[float, float]] = deque()
        self._errors: deque[float] = deque(maxlen=errors)

    def observe(self, begin: float, end: float, per_s: float) -> None:
        """Take the mean rate between two moments, in seconds, the first no earlier than the last one taken."""
        if not self._at <= begin < end:
            raise UsageError(f"observations follow each other in time, got {begin:g} s to {end:g} s after {self._at:g}")
        self._at = end
        self._judge(begin, end, per_s)
        usual = self._usual[self._part(begin)]
        self._learn(begin, end - begin, per_s)
        keep = math.exp((begin - end) / self._recent_s)
        if self._level is None:
            self._level, self._usual_level = per_s, per_s if usual is None else usual
        else:
            self._level = keep * self._level + (1 - keep) * per_s
            self._usual_level = keep * self._usual_level + (1 - keep) * (per_s if usual is None else usual)
        self._made.append((end + self._lead_s, self.rate()))

    def rate(self, quantile: float | None = None, *, most: float = math.inf) -> float:
        """Return the rate to expect ``lead_s`` after the last observation.

        With a ``quantile`` (0..1): the rate that will not be exceeded with this chance, or, where too few errors are
        known for it, with the largest of them. 0 before anything was observed. ``most`` is the highest rate of late, if
        that is known better than by what is smoothed: a crowd that is over is in there for long.
        """
        if self._level is None:
            return 0.0
        expected, usual = min(self._level, most), self._usual[self._part(self._at + self._lead_s)]
        if usual is not None and self._usual_level > 0:
            expected *= usual / self._usual_level
        return expected if quantile is None else expected * self._margin(quantile)

    @property
    def known(self) -> bool:
        """Whether enough forecasts have been judged for a margin."""
        return len(self._errors) >= FEWEST

    def _margin(self, quantile: float) -> float:
        if not self._errors:
            return 1.0
        rank = math.ceil((len(self._errors) + 1) * quantile)
        return sorted(self._errors)[min(max(rank, 1), len(self._errors)) - 1]

    def _judge(self, begin: float, end: float, per_s: float) -> None:
        """Note how far off the forecasts for this interval were."""
        while self._made and self._made[0][0] < end:
            moment, expected = self._made.popleft()
            if moment >= begin and expected > 0:
                self._errors.append(per_s / expected)

    def _learn(self, begin: float, seconds: float, per_s: float) -> None:
        """Add to the part of the day that runs; when it is over, let it count in what is usual."""
        number = math.floor(begin / self._period_s * len(self._usual))
        if self._today is None or self._today[0] != number:
            if self._today is not None:
                before, total, length = self._today
                part, mean = before % len(self._usual), total / length
                known = self._usual[part]
                self._usual[part] = mean if known is None else known + OF_A_DAY * (mean - known)
            self._today = (number, 0.0, 0.0)
        _, total, length = self._today
        self._today = (number, total + per_s * seconds, length + seconds)

    def _part(self, moment: float) -> int:
        return math.floor(moment / self._period_s * len(self._usual)) % len(self._usual)
