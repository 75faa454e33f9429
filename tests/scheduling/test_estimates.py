"""Estimates follow the profile, and then what is seen."""

import pytest

from heterosis.scheduling.estimates import Estimates, in_time
from heterosis.testing import make_plan

PLAN = make_plan({"a": 10}, max_batch=4)
CONFIGURATION = PLAN.placements[0].configuration


def test_between_measured_batches_figures_are_interpolated_and_beyond_them_extrapolated() -> None:
    """A batch of two lies between those of one and four; one of eight takes twice the time of four."""
    estimates = Estimates(PLAN.points)
    assert estimates.mean(CONFIGURATION, 1) == pytest.approx(0.010)
    assert estimates.mean(CONFIGURATION, 2) == pytest.approx(0.015)
    assert estimates.mean(CONFIGURATION, 4) == pytest.approx(0.025)
    assert estimates.mean(CONFIGURATION, 8) == pytest.approx(0.050)
    assert estimates.quantile(CONFIGURATION, 1, 95) == pytest.approx(0.012)


def test_drift_is_learned_and_survives_a_new_plan() -> None:
    """A device that runs at half its speed is believed after some batches; one slow batch changes little."""
    estimates = Estimates(PLAN.points)
    estimates.observe(CONFIGURATION, 1, 0.1)
    assert estimates.mean(CONFIGURATION, 1) < 0.015
    for _ in range(200):
        estimates.observe(CONFIGURATION, 1, 0.02)
    assert estimates.mean(CONFIGURATION, 1) == pytest.approx(0.02, rel=0.02)
    again = Estimates(PLAN.points, drift=estimates.drift)
    assert again.mean(CONFIGURATION, 4) == pytest.approx(0.05, rel=0.02)


def test_what_is_unknown_is_zero_time_and_no_energy() -> None:
    """Nothing is invented for a configuration without points."""
    estimates = Estimates(())
    assert estimates.mean(CONFIGURATION, 1) == 0
    assert estimates.joules(CONFIGURATION, 1) is None


@pytest.mark.parametrize(("within_s", "chance"), [(0.08, 0.0), (0.1, 0.5), (0.11, 0.95), (0.2, 1.0)])
def test_the_chance_to_be_in_time_follows_mean_and_percentile(within_s: float, chance: float) -> None:
    """Even at the mean, 95 % at that percentile, and none or all far from them."""
    assert in_time(within_s, 0.1, 0.11) == pytest.approx(chance, abs=1e-3)
    assert in_time(within_s, 0.1, 0.1) == (within_s >= 0.1)
