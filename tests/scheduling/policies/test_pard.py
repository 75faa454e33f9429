"""PARD: proactive drop on what was spent and what is to come; an order that turns round in overload."""

import numpy as np
import pytest

from heterosis.scheduling import DropCall, Effect, RequestEnded
from heterosis.scheduling.policies.pard import HORIZON_S
from heterosis.scheduling.policies.rate import Rate
from heterosis.simulation import Simulator, workload
from heterosis.testing import Driver, graph_of, make_plan, make_pool, runs


def dropped(effects: list[Effect]) -> list[str]:
    """List the requests whose calls were dropped."""
    return [effect.request for effect in effects if isinstance(effect, DropCall)]


@pytest.fixture
def chain() -> Driver:
    """Two stages that share a slot: 12 and 48 ms at the 95th percentile, 10 and 40 at the mean."""
    return Driver(make_plan({"a": 10, "b": 40}, slots=1, max_batch=1, policy="pard"))


def test_a_call_is_dropped_that_leaves_too_little_for_what_follows(chain: Driver) -> None:
    """Its own stage would end in time by far."""
    assert dropped(chain.ask("late", "a", deadline=0.059)) == ["late"]
    assert runs(chain.ask("in time", "a", deadline=0.061)) == [("a-0", ("in time",))]


def test_waiting_downstream_is_reckoned_with_until_it_is_forgotten(chain: Driver) -> None:
    """Calls of the second stage waited 40 ms lately: a request that has 10 ms to spare is not begun."""
    chain.ask("x", "b", deadline=1.0)
    chain.ask("y", "b", deadline=1.0)
    assert runs(chain.done("b-0", run_ms=40, after=0.04)) == [("b-0", ("y",))]
    chain.done("b-0", run_ms=40, after=0.04)
    assert dropped(chain.ask("r", "a", deadline=0.07)) == ["r"]
    chain(RequestEnded(request="r", outcome="failed"))
    assert runs(chain.ask("later", "a", deadline=0.07, after=HORIZON_S + 0.1)) == [("a-0", ("later",))]


@pytest.mark.parametrize(("calls", "first"), [(3, "r0"), (8, "r7")])
def test_least_time_left_goes_first_and_in_overload_most(calls: int, first: str) -> None:
    """Eight calls of a second within five seconds are too much for one machine."""
    driver = Driver(make_pool({"gpu": {1: 1000.0}}, policy="pard"))
    driver.ask("running", deadline=30.0)
    for number in range(calls):
        driver.ask(f"r{number}", deadline=20.0 + number)
    assert runs(driver.done("gpu", run_ms=1000)) == [("gpu", (first,))]


def test_what_another_machine_would_still_make_is_left_to_it() -> None:
    """The slow machine takes the next call that it can make."""
    driver = Driver(make_pool({"gpu": {1: 10.0}, "cpu": {1: 40.0}}, policy="pard"))
    assert runs(driver.ask("first", deadline=0.03)) == [("gpu", ("first",))]
    assert driver.ask("second", deadline=0.03) == []
    assert runs(driver.ask("third", deadline=0.09)) == [("cpu", ("third",))]
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("second",))]


def test_at_two_and_a_half_times_the_capacity_it_keeps_more_than_early_drop() -> None:
    """On a chain of three stages, where work of requests that end late is lost."""
    kept = {}
    for policy in ("nexus", "pard"):
        plan = make_plan({"a": 10, "b": 20, "c": 10}, slots=4, max_batch=4, slo_ms=250, policy=policy)
        moments = np.cumsum(np.random.default_rng(0).exponential(1 / 400, 2500))
        chain = graph_of([("a", ()), ("b", (0,)), ("c", (1,))])
        kept[policy] = Simulator(plan).run(workload(moments, chain)).attainment
    assert kept["pard"] > 1.2 * kept["nexus"] > 0.2


def test_a_rate_forgets() -> None:
    """Ten events a second are seen as such, and no longer a while after they end."""
    rate = Rate(horizon_s=1.0)
    for number in range(100):
        rate.count(number / 10)
    assert rate.per_s(9.9) == pytest.approx(10, rel=0.1)
    assert rate.per_s(14.9) < 0.1
