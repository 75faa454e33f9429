"""Nexus: early drop by a sliding window."""

import msgspec
import pytest

from heterosis.scheduling import DropCall, Effect
from heterosis.testing import Driver, make_plan, make_pool, runs

GPU = {1: 10.0, 2: 15.0, 4: 25.0}
"""Milliseconds of a batch."""


def drive(*, max_batch: int = 2, **machines: dict[int, float]) -> Driver:
    """Drive Nexus on these machines, with 100 ms for the stage."""
    return Driver(make_pool(machines, max_batch=max_batch, policy="nexus"))


def dropped(effects: list[Effect]) -> list[str]:
    """List the requests whose calls were dropped."""
    return [effect.request for effect in effects if isinstance(effect, DropCall)]


def test_the_window_starts_at_the_first_call_that_can_bear_it() -> None:
    """The first call has 12 ms left: enough for itself, not for a batch of two; it is dropped, and two others run."""
    driver = drive(gpu=GPU)
    driver.ask("running", deadline=1.0)
    driver.ask("first", deadline=0.022)
    for name in ("b", "c", "d"):
        driver.ask(name, deadline=0.5)
    effects = driver.done("gpu", after=0.01)
    assert dropped(effects) == ["first"]
    assert runs(effects) == [("gpu", ("b", "c"))]


def test_a_window_is_no_longer_than_the_queue() -> None:
    """A call that waits alone needs time for itself only."""
    driver = drive(gpu=GPU)
    driver.ask("running", deadline=1.0)
    driver.ask("alone", deadline=0.022)
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("alone",))]


def test_when_no_window_is_in_time_all_are_dropped() -> None:
    """Nothing runs that would be late."""
    driver = drive(gpu=GPU)
    driver.ask("running", deadline=1.0)
    driver.ask("a", deadline=0.015)
    driver.ask("b", deadline=0.016)
    effects = driver.done("gpu", after=0.01)
    assert dropped(effects) == ["a", "b"]
    assert runs(effects) == []


def test_a_call_that_another_machine_would_run_in_time_is_left_to_it() -> None:
    """The slow machine passes over what the fast one can still make."""
    driver = drive(gpu=GPU, cpu={1: 40.0}, max_batch=1)
    assert runs(driver.ask("first", deadline=0.03)) == [("gpu", ("first",))]
    assert driver.ask("second", deadline=0.03) == []
    assert runs(driver.ask("third", deadline=0.09)) == [("cpu", ("third",))]
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("second",))]


@pytest.mark.parametrize(("objective", "left_ms"), [(0.1, 50.0), (0.2, 100.0), (0.05, 25.0)])
def test_a_stage_has_its_share_of_the_objective(objective: float, left_ms: float) -> None:
    """Of 100 ms each of two stages has 50; a request with another objective has its share of that."""
    driver = Driver(make_plan({"a": 1, "b": 1}, slo_ms=100, policy="nexus"))
    driver.ask("r", "a", deadline=objective)
    (record,) = driver.scheduler.requests["r"].calls.values()
    assert record.priority[0] == pytest.approx(left_ms / 1e3)


def test_no_call_takes_the_time_of_what_follows() -> None:
    """However large its stage's budget is."""
    plan = make_plan({"a": 1, "b": 40}, slo_ms=100, policy="nexus")
    stages = tuple(msgspec.structs.replace(stage, budget_ms=90.0) for stage in plan.stages)
    driver = Driver(msgspec.structs.replace(plan, stages=stages))
    driver.ask("r", "a", deadline=0.1)
    (record,) = driver.scheduler.requests["r"].calls.values()
    assert record.priority[0] == pytest.approx(0.1 - 1.2 * 0.04)
