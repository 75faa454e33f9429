"""Loki: the most accurate variants first, and four ways of dropping."""

import msgspec
import pytest

from heterosis.scheduling import DropCall, Effect, InstanceDown, PlanChanged
from heterosis.scheduling.policies.loki_table import most_accurate_first
from heterosis.terms import Plan
from heterosis.testing import Driver, make_plan, make_pool, runs

MACHINES = {"best": {1: 40.0}, "fair": {1: 20.0}, "poor": {1: 10.0}}
"""Milliseconds of a call, by variant; budgets are twice that."""
ACCURACIES = {"best": 0.9, "fair": 0.8, "poor": 0.7}


def plan_of(policy: str, *, demand_per_s: float = 0.0, tail_ms: float = 0.0) -> Plan:
    """Plan a stage with one instance of each variant."""
    plan = make_pool(MACHINES, accuracies=ACCURACIES, policy=policy)
    (stage,) = plan.stages
    stage = msgspec.structs.replace(stage, demand_per_s=demand_per_s, tail_ms=tail_ms)
    return msgspec.structs.replace(plan, stages=(stage,))


def dropped(effects: list[Effect]) -> list[str]:
    """List the requests whose calls were dropped."""
    return [effect.request for effect in effects if isinstance(effect, DropCall)]


@pytest.mark.parametrize(
    ("demand", "shares"),
    [
        (0.0, [1, 0, 0]),
        (5.0, [1, 0, 0]),
        (20.0, [0.5, 0.5, 0]),
        (40.0, [0.25, 0.5, 0.25]),
        (700.0, [1 / 7, 2 / 7, 4 / 7]),
    ],
)
def test_demand_fills_the_most_accurate_first(demand: float, shares: list[float]) -> None:
    """Each carries what it can; what is beyond all of them goes by capacity."""
    assert most_accurate_first(demand, [10.0, 20.0, 40.0]) == pytest.approx(shares)


def test_a_call_waits_for_its_variant_though_another_is_idle() -> None:
    """The most accurate variant carries 25 calls a second, which is more than the demand."""
    driver = Driver(plan_of("loki", demand_per_s=1.0))
    assert runs(driver.ask("a", deadline=1.0)) == [("best", ("a",))]
    assert driver.ask("b", deadline=1.0) == []
    assert runs(driver.done("best", run_ms=40, after=0.04)) == [("best", ("b",))]


def test_calls_are_spread_by_the_shares_of_the_demand() -> None:
    """Of 50 calls a second the best carries 25, the fair the other 25."""
    driver = Driver(plan_of("loki:none", demand_per_s=50.0))
    served = [run for number in range(4) for run in runs(driver.ask(f"r{number}", deadline=9.0))]
    assert [instance for instance, _ in served] == ["best", "fair"]
    lines = driver.done("best", run_ms=40) + driver.done("fair", run_ms=20)
    assert [instance for instance, _ in runs(lines)] == ["best", "fair"]


def test_shares_follow_the_demand_each_second() -> None:
    """A burst of 1000 items, smoothed over 20 s, is 50 a second: more than the best variant carries."""
    driver = Driver(plan_of("loki:none", demand_per_s=1.0))
    assert runs(driver.ask("first", deadline=99.0)) == [("best", ("first",))]
    assert driver.ask("burst", deadline=99.0, size=1000, after=0.1) == []
    assert driver.ask("soon", deadline=99.0, after=0.4) == []
    assert driver.ask("a second later", deadline=99.0, after=0.6) == []
    assert runs(driver.ask("next", deadline=99.0)) == [("fair", ("next",))]


def test_a_call_that_is_behind_goes_to_the_most_accurate_variant_that_makes_up_for_it() -> None:
    """A budget of 80 ms is too much, one of 40 ms is not; with less than that the third has to do."""
    driver = Driver(plan_of("loki", demand_per_s=1.0))
    assert runs(driver.ask("a", deadline=0.079)) == [("fair", ("a",))]
    assert runs(driver.ask("b", deadline=0.039)) == [("poor", ("b",))]


def test_what_no_variant_makes_up_for_is_dropped() -> None:
    """Of 55 ms, 50 are needed by what follows."""
    driver = Driver(plan_of("loki", demand_per_s=1.0, tail_ms=50.0))
    assert dropped(driver.ask("a", deadline=0.055)) == ["a"]


@pytest.mark.parametrize(
    ("policy", "late"), [("loki:none", []), ("loki:last_task", ["b"]), ("loki:opportunistic", ["b"])]
)
def test_what_is_late_at_the_last_task_is_dropped_there(policy: str, late: list[str]) -> None:
    """It waited for 40 ms, and has 39 left when it could run."""
    driver = Driver(plan_of(policy, demand_per_s=1.0))
    driver.ask("a", deadline=1.0)
    driver.ask("b", deadline=0.08)
    effects = driver.done("best", run_ms=41, after=0.041)
    assert dropped(effects) == late
    assert bool(runs(effects)) == (not late)


@pytest.mark.parametrize(("policy", "late"), [("loki:per_task", ["b"]), ("loki:last_task", [])])
def test_what_exceeds_its_stages_budget_is_dropped_per_task_at_any_stage(policy: str, late: list[str]) -> None:
    """More stages follow, the request could still be in time, but it waited for longer than a batch runs."""
    plan = make_plan({"a": 40, "b": 10}, slots=1, max_batch=1, slo_ms=500, policy=policy)
    driver = Driver(plan)
    driver.ask("a", deadline=0.5)
    driver.ask("b", deadline=0.5)
    assert dropped(driver.done("a-0", run_ms=45, after=0.045)) == late


def test_calls_of_a_variant_whose_instances_are_gone_move_to_another() -> None:
    """A plan without the best variant serves what was bound to it; so does one whose instance stays down."""
    plan = plan_of("loki", demand_per_s=1.0)
    driver = Driver(plan)
    driver.ask("a", deadline=9.0)
    driver.ask("b", deadline=9.0)
    kept = tuple(each for each in plan.placements if each.instance != "best")
    effects = driver(PlanChanged(plan=msgspec.structs.replace(plan, placements=kept)))
    assert runs(effects) == [("fair", ("b",))]
    driver = Driver(plan)
    driver(InstanceDown(instance="best", reason="x"))
    driver(InstanceDown(instance="best", reason="x"))
    assert runs(driver.ask("c", deadline=9.0, after=1.1)) == [("fair", ("c",))]
