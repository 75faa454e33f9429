"""Ours: what the plan says of batches that are kept open, and of variants that a stage mixes."""

from collections.abc import Mapping

import msgspec
import pytest

from heterosis.scheduling import PlanChanged, SetTimer, TimerFired
from heterosis.terms import Plan
from heterosis.testing import Driver, make_pool, runs

MACHINES = {"sure": {1: 10.0, 4: 20.0}, "rough": {1: 5.0, 4: 10.0}}
"""Milliseconds of a batch, by its items."""
ACCURACY = {"sure": 1.0, "rough": 0.8}


def planned(
    *, fill_ms: float = 0.0, accuracy: float | None = None, machines: Mapping[str, Mapping[int, float]] = MACHINES
) -> Plan:
    """A stage on two machines, its batches full at four, that may wait so long and mix to such an accuracy."""
    plan = make_pool(machines, max_batch=4, policy="heterosis")
    (stage,) = plan.stages
    return msgspec.structs.replace(
        plan,
        stages=(msgspec.structs.replace(stage, batch=4, fill_ms=fill_ms, accuracy=accuracy),),
        placements=tuple(
            msgspec.structs.replace(each, accuracy=ACCURACY[each.configuration.device_type]) for each in plan.placements
        ),
    )


def test_calls_wait_for_a_full_batch_as_long_as_planned() -> None:
    """Then whatever is there runs as one batch; what fills it up before runs at once."""
    driver = Driver(planned(fill_ms=20.0))
    effects = driver.ask("first", deadline=1.0)
    assert runs(effects) == []
    assert runs(driver.ask("second", deadline=1.0, after=0.01)) == []
    (timer,) = (each for each in effects if isinstance(each, SetTimer))
    assert timer.at == pytest.approx(0.02)
    ((_, taken),) = runs(driver(TimerFired(key=timer.key), after=0.011))
    assert set(taken) == {"first", "second"}
    for number in range(3):
        assert runs(driver.ask(f"more-{number}", deadline=1.0)) == []
    ((_, taken),) = runs(driver.ask("last", deadline=1.0))
    assert len(taken) == 4


def test_what_cannot_wait_does_not() -> None:
    """A call whose deadline leaves no time for it runs alone."""
    driver = Driver(planned(fill_ms=20.0))
    assert len(runs(driver.ask("urgent", deadline=0.025))) == 1


@pytest.mark.parametrize("least", [0.85, 0.9, 0.98])
def test_a_mix_comes_to_the_accuracy_that_was_planned(least: float) -> None:
    """But for half a call, whichever machine is free; also across a new plan of the same pipeline."""
    driver = Driver(planned(accuracy=least))
    told: list[float] = []
    for number in range(200):
        if number == 100:
            driver(PlanChanged(plan=msgspec.structs.replace(driver.plan, rate_rps=11.0)))
        for machine, taken in runs(driver.ask(f"r{number}", deadline=1.0)):
            told += [ACCURACY[machine]] * len(taken)
            driver.done(machine)
    assert len(told) == 200
    assert sum(told) / len(told) >= least - 0.6 / len(told) - 1e-9
    assert min(told) == ACCURACY["rough"]


def test_a_call_that_is_split_counts_for_the_accuracy_of_a_mix() -> None:
    """Only the parts of one on the less accurate machines are in time; it may run there as often as a whole one."""
    machines = {"sure": MACHINES["sure"], "rough-0": MACHINES["rough"], "rough-1": MACHINES["rough"]}
    driver = Driver(planned(accuracy=0.9, machines=machines))
    split = 0
    for number in range(7):
        taken = runs(driver.ask(f"r{number}", deadline=0.016, size=8, divisible=True))
        split += len(taken) > 1
        for machine, _ in taken:
            driver.done(machine, after=0.001)
    assert split == 5


def test_a_batch_to_be_filled_is_not_forgotten_where_the_timer_before_is_late() -> None:
    """A call that comes when a timer is due, but has not gone off, gets one of its own."""
    driver = Driver(planned(fill_ms=20.0))
    for number in range(4):
        effects = driver.ask(f"full-{number}", deadline=1.0)  # goes before the timer, which stays set
    ((machine, _),) = runs(effects)
    driver.done(machine, after=0.01)
    effects = driver.ask("late", deadline=1.0, after=0.0105)
    (timer,) = (each for each in effects if isinstance(each, SetTimer))
    assert timer.at == pytest.approx(driver.now + 0.02)
    driver(TimerFired(key=timer.key), after=0.0005)  # the one before
    ((_, taken),) = runs(driver(TimerFired(key=timer.key), after=0.02))
    assert taken == ("late",)
