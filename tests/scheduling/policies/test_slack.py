"""Staged slack: the least energy that a call's share of the time left allows."""

from heterosis.scheduling.policies.slack import MARGIN
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

MODES = {"full": (10.0, 1.0), "half": (20.0, 0.5), "low": (40.0, 0.2)}
"""Milliseconds and joules of one item, by power mode."""


def plan_of(*, slots: int = 1, tail_ms: float = 0.0) -> Plan:
    """Plan stage ``a`` on one device, an instance for each power mode on each slot, named ``mode-slot``."""
    placements, points = [], []
    for mode, (item_ms, joules) in MODES.items():
        configuration = Configuration(stage="a", variant="m", device_type="toy", power_mode=mode)
        placements += [
            Placement(
                instance=f"{mode}-{slot}", configuration=configuration, max_batch=1, node="n", device="d", slots=(slot,)
            )
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
            for batch in (1, 10)
            for time in (item_ms * batch,)
        ]
    stage = StagePlan(
        stage="a", variant=make_variant("a"), budget_ms=100, tail_ms=tail_ms, demand_per_s=1, utilisation=0
    )
    return Plan(
        pipeline="toy",
        slo=Slo(latency_ms=100),
        rate_rps=1,
        policy="slack",
        stages=(stage,),
        placements=tuple(placements),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


def chosen(deadline_ms: float, *, size: int = 1, tail_ms: float = 0.0) -> str:
    """The power mode that a lone call is run in."""
    driver = Driver(plan_of(tail_ms=tail_ms))
    ((instance, _),) = runs(driver.ask("r", deadline=deadline_ms / 1e3, size=size))
    return instance.partition("-")[0]


def test_the_cheapest_mode_within_the_budget_is_taken() -> None:
    """With time to spare the lowest, with less the middle one, with little the full speed."""
    assert chosen(100) == "low"
    assert chosen(30) == "half"
    assert chosen(15) == "full"


def test_a_margin_is_kept() -> None:
    """The lowest mode takes 40 ms; a budget of 44 ms less the margin is not enough, one of 45 ms is."""
    assert MARGIN == 0.1
    assert chosen(44) == "half"
    assert chosen(45) == "low"


def test_what_nothing_can_save_runs_at_full_speed() -> None:
    """No configuration keeps 5 ms."""
    assert chosen(5) == "full"


def test_what_follows_gets_its_share_of_the_time_left() -> None:
    """With 10 ms here and 30 ms downstream at full speed, a quarter of 100 ms is this stage's: too little for 40."""
    assert chosen(100, tail_ms=30) == "half"
    assert chosen(200, tail_ms=30) == "low"


def test_a_larger_call_needs_a_larger_budget() -> None:
    """Ten items take 400 ms in the lowest mode."""
    assert chosen(300, size=10) == "half"


def test_a_device_keeps_its_mode_while_it_runs_something() -> None:
    """A second call that needs full speed finds the device in its lowest mode, and takes what is open."""
    driver = Driver(plan_of(slots=2))
    assert runs(driver.ask("r1", deadline=1.0)) == [("low-0", ("r1",))]
    assert runs(driver.ask("r2", deadline=0.015)) == [("low-1", ("r2",))]


def test_measured_times_correct_the_predicted() -> None:
    """Once the lowest mode is seen to take twice its time, it is no longer within the budget."""
    driver = Driver(plan_of())
    estimates = driver.scheduler.estimates
    low = driver.plan.placements[-1].configuration
    for _ in range(100):
        estimates.observe(low, 1, 0.08)
    assert runs(driver.ask("r", deadline=0.08)) == [("half-0", ("r",))]
