"""SynergAI's rule: urgency decides who goes next, the target decides where and in which configuration."""

import pytest

from heterosis.scheduling import RunBatch
from heterosis.terms import (
    Configuration,
    Energy,
    Latency,
    OperatingPoint,
    Placement,
    Plan,
    Prediction,
    Quality,
    Slo,
)
from heterosis.testing import Driver, runs

WORKERS = {("fast", "full"): 10.0, ("fast", "half"): 20.0, ("slow", "full"): 40.0}
"""Milliseconds of one item, by worker and configuration; the configurations of one worker share its only slot."""


def plan_of(workers: dict[tuple[str, str], float], policy: str = "synergai") -> Plan:
    """Plan stage ``a`` on each worker in each configuration, named ``worker-mode``; the slower the cheaper."""
    placements, points = [], []
    for (worker, mode), item_ms in workers.items():
        configuration = Configuration(stage="a", variant="m", device_type=worker, power_mode=mode)
        name = f"{worker}-{mode}"
        placements.append(
            Placement(instance=name, configuration=configuration, max_batch=1, node="n", device=worker, slots=(0,))
        )
        points += [
            OperatingPoint(
                configuration=configuration,
                batch=batch,
                latency=Latency(mean_ms=time, p50_ms=time, p95_ms=time, p99_ms=time),
                cpu_ms=time,
                dynamic_energy=Energy(batch / item_ms, Quality.MODELLED),
            )
            for batch in (1, 10)
            for time in (item_ms * batch,)
        ]
    return Plan(
        pipeline="toy",
        slo=Slo(latency_ms=100),
        rate_rps=1,
        policy=policy,
        stages=(),
        placements=tuple(placements),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


@pytest.fixture
def driver() -> Driver:
    """Two workers, the fast one in one of two configurations."""
    return Driver(plan_of(WORKERS))


def test_a_feasible_call_takes_the_configuration_of_least_execution_time(driver: Driver) -> None:
    """All three would make it; the fastest is taken, and with it the whole worker."""
    assert runs(driver.ask("r1", deadline=1.0)) == [("fast-full", ("r1",))]
    assert runs(driver.ask("r2", deadline=1.0)) == [("slow-full", ("r2",))]
    assert runs(driver.ask("r3", deadline=1.0)) == []


def test_a_call_waits_for_a_busy_worker_that_still_makes_its_target(driver: Driver) -> None:
    """The slow worker is idle but too slow; the fast one is free again in time."""
    driver.ask("r1")
    assert runs(driver.ask("r2", deadline=0.03)) == []
    assert runs(driver.done("fast-full", after=0.01)) == [("fast-full", ("r2",))]


def test_a_call_that_nothing_can_save_runs_as_well_as_it_can(driver: Driver) -> None:
    """Neither the idle nor the busy worker makes it; nothing is dropped."""
    driver.ask("r1")
    (effect,) = [each for each in driver.ask("r2", deadline=0.015) if isinstance(each, RunBatch)]
    assert (effect.instance, effect.calls) == ("slow-full", ("r2/0",))
    assert "no worker" in effect.reason


def test_a_call_that_waits_does_not_hold_up_those_after_it(driver: Driver) -> None:
    """The most urgent one waits for the fast worker, the next takes the idle slow one."""
    driver.ask("r1")
    driver.ask("r2", deadline=0.03)
    assert runs(driver.ask("r3", deadline=0.5)) == [("slow-full", ("r3",))]


def test_urgency_counts_what_a_call_still_has_to_run(driver: Driver) -> None:
    """Of two calls with one deadline the larger is the more urgent."""
    driver.ask("r1")
    driver.ask("r2")
    driver.ask("small", deadline=1.0)
    driver.ask("large", deadline=1.0, size=10)
    assert runs(driver.done("fast-full", after=0.01)) == [("fast-full", ("large",))]


@pytest.mark.parametrize(("deadline", "expected"), [(0.15, []), (0.135, [("slow-full", ("r2",))])])
def test_waiting_reckons_with_what_runs_on_the_worker(
    driver: Driver, deadline: float, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    """The fast worker is busy for 100 ms, whatever the configuration, and needs 40 ms; the slow one needs 160 ms."""
    driver.ask("r1", size=10)
    assert runs(driver.ask("r2", deadline=deadline, size=4)) == expected


@pytest.mark.parametrize(("deadline", "expected"), [(1.0, "slow-full"), (0.03, "fast-half"), (0.015, "fast-full")])
def test_the_variant_takes_the_least_energy_that_makes_the_target(deadline: float, expected: str) -> None:
    """The slow worker where there is time, the fast one's cheaper configuration where there is some."""
    driver = Driver(plan_of(WORKERS, "synergai:least-energy"))
    assert runs(driver.ask("r", deadline=deadline)) == [(expected, ("r",))]


def test_the_variant_does_what_it_can_where_nothing_makes_the_target() -> None:
    """Then time decides, not energy."""
    driver = Driver(plan_of(WORKERS, "synergai:least-energy"))
    assert runs(driver.ask("r", deadline=0.005)) == [("fast-full", ("r",))]
