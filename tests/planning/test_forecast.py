"""Forecasts: of a constant rate, of days that repeat, of a day that differs, and how wide the margin is."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.arrivals.diurnal import diurnal
from heterosis.planning.forecast import Forecast
from heterosis.terms.errors import UsageError


def follow(forecast: Forecast, rates: list[float], interval_s: float = 60.0, begin: int = 0) -> None:
    """Let a forecast see one rate after the other."""
    for number, rate in enumerate(rates, begin):
        forecast.observe(number * interval_s, (number + 1) * interval_s, rate)


@given(st.floats(0, 1e6), st.floats(0, 7200), st.integers(1, 60), st.integers(1, 300), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_constant_rate_is_forecast_as_itself(
    rate: float, lead_s: float, parts: int, intervals: int, quantile: float
) -> None:
    """At any lead, with any memory, through several periods, and with no margin at any quantile."""
    forecast = Forecast(lead_s, period_s=3600.0, parts=parts)
    follow(forecast, [rate] * intervals)
    assert forecast.rate() == pytest.approx(rate)
    assert forecast.rate(quantile) == pytest.approx(rate)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=80), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_a_forecast_does_not_look_ahead(rates: list[float], cut: int) -> None:
    """What is forecast at a moment is the same whatever comes after it."""
    seen, whole = (Forecast(120.0, period_s=1200.0, parts=5) for _ in range(2))
    follow(seen, rates[:cut])
    said = []
    for number, rate in enumerate(rates):
        whole.observe(60.0 * number, 60.0 * (number + 1), rate)
        said.append((whole.rate(), whole.rate(0.9)))
    assert said[min(cut, len(rates)) - 1] == (seen.rate(), seen.rate(0.9))


def test_days_that_repeat_are_known_in_advance() -> None:
    """After two days of a sine, an hour ahead is forecast to a few per cent; what is of late alone is far off."""
    day = [100 + 80 * math.sin(2 * math.pi * minute / 1440) for minute in range(1440)]
    forecast, plain = Forecast(3600.0), Forecast(3600.0, parts=1)
    errors: dict[Forecast, list[float]] = {forecast: [], plain: []}
    for each, found in errors.items():
        follow(each, day * 2)
        for minute in range(1440):
            follow(each, [day[minute]], begin=2880 + minute)
            found.append(abs(each.rate() - day[(minute + 61) % 1440]))
    assert np.mean(errors[forecast]) < 4
    assert np.mean(errors[plain]) > 10


def test_a_day_twice_as_busy_is_seen_within_minutes() -> None:
    """What is usual is scaled by what is of late."""
    day = [100 + 80 * math.sin(2 * math.pi * minute / 1440) for minute in range(1440)]
    forecast = Forecast(600.0)
    follow(forecast, day * 2)
    follow(forecast, [2 * rate for rate in day[:60]], begin=2880)
    assert forecast.rate() == pytest.approx(2 * day[70], rel=0.1)


def test_the_margin_covers_what_it_says() -> None:
    """Over days of random arrivals, nine out of ten rates ten minutes ahead stay below the forecast at 0.9."""
    times = diurnal(1.0, 4 * 86400.0, seed=3, peak_ratio=1.6)
    counts, _ = np.histogram(times, np.arange(0, 4 * 86400 + 1, 120.0))
    forecast, covered = Forecast(600.0), list[bool]()
    for number, (rate, later) in enumerate(zip(counts / 120.0, counts[6:] / 120.0, strict=False)):
        forecast.observe(120.0 * number, 120.0 * (number + 1), float(rate))
        if number > 2000:
            assert forecast.known
            covered.append(bool(later <= forecast.rate(0.9)))
    assert 0.87 < np.mean(covered) < 0.93


@given(st.lists(st.floats(0, 100), min_size=30, max_size=60))
@settings(max_examples=40, deadline=None)
def test_higher_quantiles_are_higher(rates: list[float]) -> None:
    """The margin grows with the share of the errors that it must cover."""
    forecast = Forecast(60.0)
    follow(forecast, rates)
    found = [forecast.rate(quantile) for quantile in (0.0, 0.5, 0.9, 0.99, 1.0)]
    assert all(low <= high for low, high in pairwise(found))


def test_before_anything_is_known() -> None:
    """No rate is forecast, and no margin claimed."""
    forecast = Forecast(60.0)
    assert forecast.rate(0.9) == 0.0
    assert not forecast.known


def test_observations_that_cannot_be_are_refused() -> None:
    """They are not empty, and come in order."""
    forecast = Forecast(60.0)
    forecast.observe(0.0, 60.0, 1.0)
    for begin, end in ((30.0, 90.0), (60.0, 60.0)):
        with pytest.raises(UsageError, match="follow each other"):
            forecast.observe(begin, end, 1.0)
    with pytest.raises(UsageError, match="needs a lead"):
        Forecast(-1.0)
