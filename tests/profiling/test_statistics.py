"""Quantiles, intervals and outliers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.profiling.statistics import count_outliers, interval_ratio, median_interval, summarise

durations = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


@given(durations)
def test_quantiles_are_monotone_and_within_the_sample(sample: list[float]) -> None:
    """p50 <= p95 <= p99, none beyond the extremes, and the mean between these too."""
    summary = summarise(sample)
    latency = summary.latency
    ordered = [min(sample), latency.p50_ms, latency.p95_ms, latency.p99_ms, max(sample)]
    assert all(low <= high * (1 + 1e-12) for low, high in itertools.pairwise(ordered))
    assert ordered[0] * (1 - 1e-9) <= latency.mean_ms <= ordered[-1] * (1 + 1e-9)
    assert summary.samples == len(sample)
    assert 0 <= summary.outliers < len(sample)
    assert summary.interval_ratio >= 0


@given(durations, st.floats(0.01, 100))
def test_scale_does_not_matter(sample: list[float], factor: float) -> None:
    """The same sample in another unit has quantiles in that unit, and the same interval ratio."""
    one, other = summarise(sample), summarise([factor * value for value in sample])
    assert other.latency.p95_ms == pytest.approx(factor * one.latency.p95_ms)
    assert other.interval_ratio == pytest.approx(one.interval_ratio)


@pytest.mark.parametrize("count", [6, 7, 10, 31, 100])
def test_interval_holds_the_median_95_times_of_100(count: int) -> None:
    """The interval of order statistics keeps its promise for a skewed distribution (median 1), at any sample size."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        sample = np.sort(random.lognormal(0, 1, count))
        low, high = median_interval(sample)
        held += low <= 1 <= high
    assert held / 2000 > 0.94


def test_interval_narrows_with_more_samples() -> None:
    """Four times the samples halve the interval, about."""
    random = np.random.default_rng(7)
    few, many = (interval_ratio(np.sort(random.normal(10, 1, count))) for count in (400, 6400))
    assert many < few / 2.5


def test_few_samples_give_their_range() -> None:
    """Below six samples, the interval is all that was seen."""
    assert interval_ratio([8.0, 10.0, 12.0]) == pytest.approx(0.2)
    assert interval_ratio([5.0]) == 0


def test_outliers_are_counted_but_kept() -> None:
    """One value far off is an outlier; it still makes the p99."""
    sample = [*np.linspace(9, 11, 99), 500.0]
    summary = summarise(sample)
    assert summary.outliers == 1
    assert summary.latency.p99_ms > 11
    assert count_outliers(np.full(10, 3.0)) == 0
