"""The rates to plan for: forecasts with their uncertainty, and what surely comes already."""

import math
from collections.abc import Mapping

from heterosis.planning.forecast import DAY_S, Forecast

CERTAINTY = 0.8
"""Chance that a rate stays within its forecast."""
CROWD = 1.5
"""How many times as many as foretold are a crowd."""
STAYS = 3
"""After so many intervals in a row, a crowd is what is usual now (a running limit, as in robust smoothing: Gelper,
Fried and Croux, "Robust forecasting with exponential and Holt-Winters smoothing", 2010)."""
SPREAD = 2.0
"""Standard deviations of a count that are added while no error of a forecast is known."""


class Demand:
    """Learns from the arrivals of every pipeline, interval by interval; it never looks ahead."""

    def __init__(
        self,
        expected: Mapping[str, float],
        *,
        begin: float,
        interval_s: float,
        period_s: float = DAY_S,
        parts: int = 96,
        certainty: float = CERTAINTY,
    ) -> None:
        """Expect these rates until more is known. Intervals are how often a plan is made; it is for the next but one.

        A period (by default a day) repeats itself, in so many parts.
        """
        self._expected, self._certainty, self._interval_s = expected, certainty, interval_s
        self._begin = begin
        self._counts = dict.fromkeys(expected, 0)
        self._crowded = dict.fromkeys(expected, 0)
        """Intervals in a row that far more came in than was foretold."""
        self._observed = 0
        lead_s, recent_s = 1.5 * interval_s, 2 * interval_s
        self._forecasts = {
            name: Forecast(lead_s, period_s=period_s, parts=parts, recent_s=recent_s) for name in expected
        }

    def note(self, pipeline: str) -> None:
        """Count a request."""
        self._counts[pipeline] += 1

    def tick(self, now: float) -> bool:
        """Learn from intervals that are over; tell whether one was."""
        end = self._begin + self._interval_s
        if now < end:
            return False
        while now >= end:  # arrivals between late ticks count in the first of their intervals
            for name, forecast in self._forecasts.items():
                forecast.observe(self._begin, end, self._learnt(name, self._counts[name] / self._interval_s))
            self._counts = dict.fromkeys(self._counts, 0)
            self._begin, self._observed = end, self._observed + 1
            end += self._interval_s
        return True

    def rates(self, most: Mapping[str, float] | None = None) -> dict[str, float]:
        """What to plan for, by pipeline; ``most`` are the highest rates of late, if they are known."""
        return {name: self._rate(name, math.inf if most is None else most[name]) for name in self._forecasts}

    def _learnt(self, name: str, rate: float) -> float:
        """What of the rate of an interval is learnt: not all of a crowd, unless it stays."""
        limit = CROWD * max(self._rate(name, math.inf), 1 / self._interval_s)
        self._crowded[name] = self._crowded[name] + 1 if rate > limit else 0
        return min(rate, limit) if self._observed and self._crowded[name] < STAYS else rate

    def _rate(self, name: str, most: float) -> float:
        forecast = self._forecasts[name]
        if not self._observed:
            return self._expected[name]
        if forecast.known:
            return forecast.rate(self._certainty, most=most)
        rate = forecast.rate(most=most)
        return rate + SPREAD * math.sqrt(rate / self._interval_s)
