"""Staged slack in joules: as slow as slack and load allow, on few devices; and the governors beside it."""

import pytest

from heterosis.scheduling.policies.pace import KNEE
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
    StagePlan,
)
from heterosis.testing import Driver, make_variant, runs

MODES = {"full": (10.0, 1.0), "mid": (15.0, 0.6), "low": (20.0, 0.3)}
"""Milliseconds and joules of one item, by power mode."""


def plan_of(
    policy: str,
    *,
    devices: int = 2,
    slots: int = 2,
    rate_rps: float = 1.0,
    max_batch: int = 1,
    modes: dict[str, tuple[float, float]] = MODES,
) -> Plan:
    """Plan stage ``a`` on alike devices, an instance for each power mode on each slot, named ``device-slot-mode``."""
    placements, points = [], []
    for mode, (item_ms, joules) in modes.items():
        configuration = Configuration(stage="a", variant="m", device_type="toy", power_mode=mode)
        placements += [
            Placement(
                instance=f"{device}-{slot}-{mode}",
                configuration=configuration,
                max_batch=max_batch,
                node="n",
                device=str(device),
                slots=(slot,),
                prefetch_below_ms=0.0,
            )
            for device in range(devices)
            for slot in range(slots)
        ]
        points += [
            OperatingPoint(
                configuration=configuration,
                batch=batch,
                latency=Latency(mean_ms=time, p50_ms=time, p95_ms=time, p99_ms=time),
                cpu_ms=time,
                dynamic_energy=Energy(joules * batch, Quality.MODELLED),
            )
            for batch in (1, 2)
            for time in (item_ms * (1 + batch) / 2,)
        ]
    stage = StagePlan(
        stage="a", variant=make_variant("a"), budget_ms=100, tail_ms=0.0, demand_per_s=rate_rps, utilisation=0
    )
    return Plan(
        pipeline="toy",
        slo=Slo(latency_ms=100),
        rate_rps=rate_rps,
        policy=policy,
        stages=(stage,),
        placements=tuple(placements),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


def mode_of(driver: Driver, request: str, deadline_ms: float, *, after: float = 0.0) -> str:
    """The mode that a lone call is run in; empty where it waits."""
    found = runs(driver.ask(request, deadline=deadline_ms / 1e3, after=after))
    return found[0][0].rpartition("-")[2] if found else ""


def device_of(instance: str) -> str:
    """The device in an instance's name."""
    return instance.partition("-")[0]


# --- slack:joules


@pytest.mark.parametrize(("deadline_ms", "mode"), [(100, "low"), (21, "low"), (19, "mid"), (12, "full"), (5, "full")])
def test_a_call_runs_as_slowly_as_its_deadline_allows(deadline_ms: float, mode: str) -> None:
    """With time to spare the lowest mode, with little full speed; what nothing can save is done with soon."""
    assert mode_of(Driver(plan_of("slack:joules")), "r", deadline_ms) == mode


def test_racing_is_chosen_where_slow_modes_cost_more() -> None:
    """A mode that saves dynamic joules, but less than keeping the device awake for longer costs, is not taken."""
    assert mode_of(Driver(plan_of("slack:joules", modes={"full": (10.0, 1.0), "low": (40.0, 0.9)})), "r", 100) == "full"
    assert mode_of(Driver(plan_of("slack:joules", modes={"full": (10.0, 1.0), "low": (40.0, 0.3)})), "r", 100) == "low"


def test_calls_gather_on_one_device() -> None:
    """The second call joins the first, so that the other device can sleep."""
    driver = Driver(plan_of("slack:joules"))
    ((first, _),) = runs(driver.ask("r1"))
    ((second, _),) = runs(driver.ask("r2"))
    assert device_of(first) == device_of(second)


def test_a_call_that_needs_more_speed_opens_another_device() -> None:
    """A device that runs slowly keeps its mode; what cannot bear that starts an empty one at full speed."""
    driver = Driver(plan_of("slack:joules"))
    ((first, _),) = runs(driver.ask("r1"))
    ((second, _),) = runs(driver.ask("r2", deadline=0.012))
    assert first.endswith("low")
    assert second.endswith("full")
    assert device_of(first) != device_of(second)


def test_a_call_waits_where_that_saves_it() -> None:
    """On the slow device it would be late for sure; a slot of the fast one is free in time."""
    driver = Driver(plan_of("slack:joules"))
    assert mode_of(driver, "r1", 100) == "low"
    assert mode_of(driver, "r2", 12) == "full"
    assert mode_of(driver, "r3", 12) == "full"
    assert mode_of(driver, "r4", 18, after=0.005) == ""
    fast = next(name for name, record in driver.scheduler.instances.items() if record.batches and "full" in name)
    assert runs(driver.done(fast, after=0.005)) == [(fast, ("r4",))]


def test_a_fleet_that_must_be_fast_is_not_slowed_down() -> None:
    """At a planned load near what the fleet can do at full speed, slack is no reason to be slow."""
    busy = KNEE * 4 / 0.01
    assert mode_of(Driver(plan_of("slack:joules", rate_rps=busy)), "r", 100) == "full"
    assert mode_of(Driver(plan_of("slack:joules", rate_rps=0.2 * busy)), "r", 100) == "low"


def test_slow_devices_are_left_when_load_comes() -> None:
    """A burst keeps every slot busy; a slow device is given nothing more until it is empty, then it is fast."""
    driver = Driver(plan_of("slack:joules", devices=1))
    started = [name for number in range(12) for name, _ in runs(driver.ask(f"r{number}", deadline=0.5))]
    assert started == ["0-0-low", "0-1-low"]
    assert runs(driver.done("0-0-low", run_ms=20, after=0.02)) == []
    assert {name.rpartition("-")[2] for name, _ in runs(driver.done("0-1-low", run_ms=20))} == {"full"}


def test_a_batch_is_as_large_as_its_budget_allows() -> None:
    """Two calls that wait run as one where that is in time at the price of one mode; else the first alone."""
    driver = Driver(plan_of("slack:joules", devices=1, slots=1, max_batch=2))
    driver.ask("r0", deadline=0.011)
    driver.ask("r1", deadline=0.1)
    driver.ask("r2", deadline=0.1)
    assert [requests for _, requests in runs(driver.done("0-0-full", after=0.01))] == [("r1", "r2")]


# --- governors


@pytest.mark.parametrize(("policy", "together"), [("governor:race", True), ("governor:performance", False)])
def test_full_speed_on_few_devices_or_on_all(policy: str, together: bool) -> None:  # noqa: FBT001
    """Both run at full speed whatever the slack; one gathers calls, the other spreads them."""
    driver = Driver(plan_of(policy))
    ((first, _),) = runs(driver.ask("r1", deadline=10))
    ((second, _),) = runs(driver.ask("r2", deadline=10))
    assert first.endswith("full")
    assert second.endswith("full")
    assert (device_of(first) == device_of(second)) is together


def test_a_governor_takes_the_most_urgent_call_first() -> None:
    """Not the one that came first."""
    driver = Driver(plan_of("governor:race", devices=1, slots=1))
    driver.ask("r1")
    driver.ask("late", deadline=1.0)
    driver.ask("soon", deadline=0.05)
    assert [requests for _, requests in runs(driver.done("0-0-full", after=0.01))] == [("soon",)]


def test_on_demand_follows_the_load_and_no_deadline() -> None:
    """Idle, it starts in the lowest mode however urgent the call; after a busy while it is at full speed."""
    driver = Driver(plan_of("governor:ondemand", devices=1, slots=1))
    seen = []
    for number in range(6):
        seen.append(mode_of(driver, f"r{number}", 15))
        driver.done(f"0-0-{seen[-1]}", run_ms=20, after=0.02)
    assert seen == ["low"] * 5 + ["full"]
    assert mode_of(driver, "later", 15, after=1.0) == "low"
