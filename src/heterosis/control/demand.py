"""The rates to plan for: forecasts with their uncertainty, and what surely comes already."""

import math
from collections.abc import Mapping

from heterosis.planning.forecast import DAY_S, Forecast

CERTAINTY = 0.8
"""Chance that a rate stays within its forecast."""
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
                forecast.observe(self._begin, end, self._counts[name] / self._interval_s)
            self._counts = dict.fromkeys(self._counts, 0)
            self._begin, self._observed = end, self._observed + 1
            end += self._interval_s
        return True

    def rates(self) -> dict[str, float]:
        """What to plan for, by pipeline."""
        return {name: self._rate(name) for name in self._forecasts}

    def _rate(self, name: str) -> float:
        forecast = self._forecasts[name]
        if not self._observed:
            return self._expected[name]
        if forecast.known:
            return forecast.rate(self._certainty)
        rate = forecast.rate()
        return rate + SPREAD * math.sqrt(rate / self._interval_s)
