"""Arrival processes: rates, spreads, shapes, seeds."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.arrivals import bursts, diurnal, integer_gaps, poisson, poisson_count, surges
from heterosis.terms.errors import UsageError

Process = Callable[[float, int], list[float]]
PROCESSES: dict[str, Process] = {
    "poisson": lambda rate, seed: poisson(rate, 10.0, seed),
    "poisson_count": lambda rate, seed: poisson_count(rate, 50, seed),
    "bursts": lambda rate, seed: bursts(rate, 3 * rate, 10.0, seed, base_s=2.0, burst_s=1.0),
    "diurnal": lambda rate, seed: diurnal(rate, 10.0, seed, period_s=4.0),
    "surges": lambda rate, seed: surges(rate, 10.0, seed),
    "integer_gaps": lambda rate, seed: integer_gaps(rate, 50, seed),
}


@pytest.mark.parametrize("name", PROCESSES)
@given(st.floats(0.1, 200), st.integers(0, 2**32))
def test_every_process_ascends_and_comes_back_with_its_seed(name: str, rate: float, seed: int) -> None:
    """Moments ascend from 0 on, and are the same for the same seed."""
    moments = PROCESSES[name](rate, seed)
    assert moments == sorted(moments)
    assert all(moment >= 0 for moment in moments)
    assert moments == PROCESSES[name](rate, seed)


@pytest.mark.parametrize("moments", [poisson(50.0, 400.0, seed=3), poisson_count(50.0, 20_000, seed=3)])
def test_poisson_has_exponential_gaps(moments: list[float]) -> None:
    """Gaps have the mean and the spread of a Poisson process (coefficient of variation 1)."""
    gaps = np.diff(moments)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, rel=0.03)


def test_a_duration_bounds_and_a_count_counts() -> None:
    """What is asked for by time ends in time; what is asked for by number has that number."""
    assert max(poisson(100.0, 5.0, seed=1)) < 5.0
    assert len(poisson_count(100.0, 321, seed=1)) == 321


def test_integer_gaps_are_no_poisson_process() -> None:
    """Whole milliseconds of the right mean, and a third of the spread of a Poisson process at 100/s."""
    gaps_ms = np.diff(integer_gaps(100.0, 20_000, seed=3)) * 1e3
    assert gaps_ms == pytest.approx(np.round(gaps_ms), abs=1e-6)
    assert gaps_ms.mean() == pytest.approx(10.0, rel=0.02)
    assert gaps_ms.std() / gaps_ms.mean() == pytest.approx(10**-0.5, rel=0.03)


def test_bursts_have_the_mean_rate_and_far_more_spread() -> None:
    """Over many bursts the mean rate is that of both states; counts per second vary much more than Poisson's."""
    moments = bursts(10.0, 100.0, 4000.0, 3, base_s=8.0, burst_s=2.0)
    assert len(moments) / 4000.0 == pytest.approx(28.0, rel=0.1)
    counts = np.bincount(np.array(moments).astype(int), minlength=4000)
    assert counts.var() / counts.mean() > 10  # 1 for a Poisson process


def test_silence_between_bursts() -> None:
    """With no base rate, nothing arrives between bursts."""
    assert max(np.diff(bursts(0.0, 100.0, 200.0, 3, base_s=8.0, burst_s=2.0))) > 1.0


def test_diurnal_follows_its_shape() -> None:
    """The mean is kept; at night next to nothing, half a period later the peak."""
    moments = np.array(diurnal(50.0, 1000.0, seed=3, peak_ratio=1.8, period_s=100.0))
    assert len(moments) / 1000.0 == pytest.approx(50.0, rel=0.02)
    phase = np.histogram(moments % 100.0, bins=10, range=(0, 100))[0] / 100.0
    assert phase[0] == pytest.approx(50 * 0.252, rel=0.1)
    assert phase[5] == pytest.approx(50 * 1.748, rel=0.05)


def test_surges_come_on_top_of_a_day() -> None:
    """The mean is kept; in its surge, half of the run long, three times as many come, and the night is quieter."""
    moments = np.array(surges(50.0, 1000.0, seed=3, count=1, surge_s=500.0, peak_ratio=1.0))
    assert len(moments) / 1000.0 == pytest.approx(50.0, rel=0.02)
    per_s = np.histogram(moments, bins=50, range=(0, 1000))[0] / 20.0
    assert per_s.max() / per_s.min() == pytest.approx(3.0, rel=0.15)
    night = np.array(surges(50.0, 1000.0, seed=3, peak_ratio=1.8))
    assert (night < 50).sum() < 0.5 * (abs(night - 500) < 25).sum()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: poisson(0, 1, 0),
        lambda: poisson(1, 0, 0),
        lambda: poisson(-1, 1, 0),
        lambda: poisson(float("nan"), 1, 0),
        lambda: poisson_count(1, 0, 0),
        lambda: integer_gaps(0, 1, 0),
        lambda: bursts(1, 0, 1, 0),
        lambda: diurnal(1, -1, 0),
        lambda: surges(0, 1, 0),
    ],
)
def test_no_load_is_a_mistake(draw: Callable[[], list[float]]) -> None:
    """No rate, no time or no number is a mistake, said in words."""
    with pytest.raises(UsageError, match="positive rate and duration"):
        draw()


def test_shapes_that_cannot_be() -> None:
    """A negative base rate, a peak beyond twice the mean and surges longer than the load are refused."""
    with pytest.raises(UsageError, match="cannot be negative"):
        bursts(-1.0, 1.0, 1.0, 0)
    with pytest.raises(UsageError, match="1 to 2 times"):
        diurnal(1.0, 1.0, 0, peak_ratio=3.0)
    with pytest.raises(UsageError, match="all fit in the load"):
        surges(1.0, 10.0, 0, count=3, surge_s=5.0)
