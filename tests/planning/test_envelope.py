"""Arrival envelopes: what they count, what chance allows, and what they tell of a rate."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.envelope import BINS, Envelope, exceeds, least_rate, poisson_envelope
from heterosis.terms.errors import UsageError

moments = st.lists(st.floats(0, 30), max_size=60).map(sorted)


def poisson(rate: float, until_s: float, seed: int) -> list[float]:
    """Draw random arrivals."""
    rng = np.random.default_rng(seed)
    return sorted(map(float, rng.uniform(0, until_s, rng.poisson(rate * until_s))))


def told(times: list[float], envelope: Envelope) -> Envelope:
    """Let an envelope count them."""
    for time in times:
        envelope.note(time)
    return envelope


@given(moments, st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_an_envelope_is_what_counting_by_hand_gives(times: list[float], later_s: float) -> None:
    """Of all windows that begin with a part and lie in what is remembered, the fullest; the rest is forgotten."""
    envelope = told(times, Envelope(0.5, 8.0, 12.0))
    now = (times[-1] if times else 0.0) + later_s
    part_s = 0.5 / BINS
    last = int(now // part_s)
    first = last - int(12.0 / part_s) + 1
    parts = [int(time // part_s) for time in times]
    for window_s, rate in zip(envelope.windows_s, envelope.rates(now), strict=True):
        length = round(window_s / part_s)
        starts = range(first, last - length + 2)
        counts = [sum(start <= part < start + length for part in parts) for start in starts]
        assert rate == pytest.approx(max(counts) / window_s)


@given(moments)
@settings(max_examples=60, deadline=None)
def test_longer_windows_see_more_arrivals_at_lower_rates(times: list[float]) -> None:
    """A window of twice the length holds at least as many arrivals, and at most twice as many."""
    envelope = told(times, Envelope(0.1, 30.0))
    assert envelope.windows_s == tuple(0.1 * 2**doubling for doubling in range(9))
    for shorter, longer in pairwise(envelope.rates(31.0)):
        assert shorter >= longer * (1 - 1e-9)
        assert 2 * longer >= shorter * (1 - 1e-9)


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    """A burst counts for as long as it is remembered, and late news of before that not at all."""
    envelope = told([10.0] * 8, Envelope(1.0, 4.0, 20.0))
    assert envelope.rates(29.0) == (8.0, 4.0, 2.0)
    assert envelope.rates(31.0) == (0.0, 0.0, 0.0)
    envelope.note(10.5)
    envelope.note(30.0)
    assert envelope.rates(31.0) == (1.0, 0.5, 0.25)


@given(st.floats(0.5, 2000), st.floats(0.2, 3), st.floats(1, 4), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_least_rate_is_where_the_envelope_is_no_longer_exceeded(
    rate: float, times: float, dispersion: float, seed: int
) -> None:
    """An envelope exceeds the one planned for a rate if, and only if, its least rate is above that."""
    envelope = told(poisson(rate, 8.0, seed), Envelope(0.5, 8.0))
    rates, windows_s, starts = envelope.rates(8.0), envelope.windows_s, envelope.starts
    least = least_rate(rates, windows_s, starts, dispersion=dispersion)
    planned = poisson_envelope(times * rate, windows_s, starts, dispersion=dispersion)
    if abs(least - times * rate) > 1e-6 * rate:
        assert exceeds(rates, planned) == (least > times * rate)


def test_random_arrivals_stay_within_their_envelope_and_twice_as_many_do_not() -> None:
    """In 80 minutes at the planned rate no false alarm (one in 1000 is allowed for); doubled, within 2 s."""
    envelope = Envelope(0.1)
    planned = poisson_envelope(50.0, envelope.windows_s, envelope.starts)
    for seed in range(80):
        assert not exceeds(told(poisson(50.0, 60.0, seed), Envelope(0.1)).rates(60.0), planned)
    told(poisson(50.0, 60.0, 0), envelope)
    told([60 + time for time in poisson(100.0, 2.0, 1)], envelope)
    assert exceeds(envelope.rates(62.0), planned)


def test_a_doubled_rate_is_found_from_below() -> None:
    """A minute on, the least rate lies within a tenth below the rate that comes, and never above it."""
    for seed in range(20):
        envelope = told(poisson(200.0, 60.0, seed), Envelope(0.1))
        assert 180 < least_rate(envelope.rates(60.0), envelope.windows_s, envelope.starts) < 205


def test_bursts_that_are_planned_for_are_no_alarm() -> None:
    """Arrivals three at a time have three times the variance; counted as such they stay within."""
    times = [time for time in poisson(20.0, 60.0, 5) for _ in range(3)]
    envelope = told(times, Envelope(0.1))
    rates, windows_s, starts = envelope.rates(60.0), envelope.windows_s, envelope.starts
    assert least_rate(rates, windows_s, starts, dispersion=3.0) < 60.0
    assert least_rate(rates, windows_s, starts) > least_rate(rates, windows_s, starts, dispersion=3.0)


def test_windows_that_cannot_be_are_refused() -> None:
    """They have a length, and the longest is the longest."""
    for shortest_s, longest_s in ((0.0, 60.0), (-1.0, 60.0), (2.0, 1.0)):
        with pytest.raises(UsageError, match="windows grow"):
            Envelope(shortest_s, longest_s)
