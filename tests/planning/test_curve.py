"""Operating points, interpolated."""

import pytest

from heterosis.planning.curve import Curve
from heterosis.planning.demand import Demand
from heterosis.terms import UNKNOWN, Quality
from heterosis.testing.snapshots import point, variant

A = variant("a")
CURVE = Curve([point(A, 1, 4, 40.0, joules=8.0, tail=1.5), point(A, 1, 1, 16.0, joules=2.0, tail=1.5)])


def test_figures_between_measured_batches_are_interpolated() -> None:
    """A batch of 2 lies a third of the way from 1 to 4."""
    assert CURVE.mean_ms[2] == pytest.approx(24)
    assert CURVE.energy[2].joules == pytest.approx(4)
    assert CURVE.quantile_ms(2, 99) == pytest.approx(36)


def test_percentiles_are_interpolated_and_the_highest_stands_for_more() -> None:
    """Between p50 = 16 and p95 = 24, the 72.5th is half-way."""
    assert CURVE.quantile_ms(1, 72.5) == pytest.approx(20)
    assert CURVE.quantile_ms(1, 99.9) == CURVE.quantile_ms(1, 99)


def test_calls_are_spread_over_the_instances() -> None:
    """Seven calls on two instances fill batches of 4: one round; on one instance of batch 4, two rounds."""
    assert CURVE.stage_ms(7, 4, 2, 99) == pytest.approx(60)
    assert CURVE.stage_ms(7, 4, 1, 99) == pytest.approx(40 + 60)


def test_a_batch_is_no_fuller_than_the_calls_there_are() -> None:
    """Two calls on one instance are a batch of 2, though 4 would fit."""
    assert CURVE.stage_ms(2, 4, 1, 99) == pytest.approx(36)


def test_a_request_costs_what_its_groups_cost() -> None:
    """Half the requests make 4 calls in a batch, half 1 call: means of time and energy."""
    run_ms, cpu_ms, energy = CURVE.per_request(Demand(groups=((4,), (1,))), 4, 1)
    assert run_ms == pytest.approx((40 + 16) / 2)
    assert cpu_ms == pytest.approx((40 + 16) / 2)
    assert energy.joules == pytest.approx((8 + 2) / 2)
    assert energy.quality is Quality.MODELLED


def test_energy_is_unknown_where_any_point_lacks_it() -> None:
    """Nothing is made up between a known and an unknown energy."""
    curve = Curve([point(A, 1, 1, 16.0), point(A, 1, 4, 40.0, joules=8.0)])
    assert curve.per_request(Demand(groups=((4,),)), 4, 1)[2] == UNKNOWN
