"""Rates to plan for: what was expected at first, then what came, with a margin; never what is to come."""

import numpy as np
import pytest

from heterosis.control.demand import Demand


def test_what_was_expected_holds_until_an_interval_is_over() -> None:
    """Then what came counts, and as many more as chance could bring."""
    demand = Demand({"a": 10.0}, begin=0.0, interval_s=10.0)
    assert demand.rates() == {"a": 10.0}
    for _ in range(40):
        demand.note("a")
    assert not demand.tick(9.9)
    assert demand.tick(10.0)
    assert 4.0 < demand.rates()["a"] < 6.0


def test_margins_are_those_of_its_own_errors() -> None:
    """A load that varies more is planned for with more to spare."""

    def planned(spread: float) -> float:
        demand, rng = Demand({"a": 1.0}, begin=0.0, interval_s=10.0), np.random.default_rng(1)
        for interval in range(60):
            for _ in range(round(200 * float(np.exp(rng.normal(0, spread))))):
                demand.note("a")
            demand.tick(10.0 * (interval + 1))
        return demand.rates()["a"]

    assert planned(0.02) == pytest.approx(20.0, rel=0.1)
    assert planned(0.6) > 1.15 * planned(0.02)


def test_late_ticks_lose_nothing() -> None:
    """Intervals that were slept through count as well."""
    demand = Demand({"a": 1.0}, begin=0.0, interval_s=10.0)
    demand.note("a")
    assert demand.tick(35.0)
    assert not demand.tick(39.0)
    assert demand.tick(40.0)


def test_a_crowd_is_not_learnt_unless_it_stays() -> None:
    """Two intervals of ten times the load are soon forgotten; from the third on they are what comes now."""

    def planned(*rates: float) -> list[float]:
        demand, found = Demand({"a": 10.0}, begin=0.0, interval_s=10.0), []
        for interval, rate in enumerate(rates):
            for _ in range(round(10 * rate)):
                demand.note("a")
            demand.tick(10.0 * (interval + 1))
            found.append(demand.rates()["a"])
        return found

    before = [10.0] * 10
    crowd = planned(*before, 100.0, 100.0, 10.0)
    assert max(crowd) < 2 * crowd[9]
    stays = planned(*before, *[100.0] * 8)
    assert stays[11] < 2 * stays[9]
    assert stays[12] > 4 * stays[9]
    assert stays[-1] == pytest.approx(100.0, rel=0.1)


def test_a_forecast_is_not_of_more_than_came_of_late() -> None:
    """What is smoothed still knows a load that is over."""
    demand = Demand({"a": 10.0}, begin=0.0, interval_s=10.0)
    for _ in range(100):
        demand.note("a")
    demand.tick(10.0)
    assert demand.rates({"a": 4.0})["a"] < 6.0 < demand.rates()["a"]
