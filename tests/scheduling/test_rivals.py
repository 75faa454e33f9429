"""Which instances of a device shut each other out."""

import pytest
from msgspec.structs import replace

from heterosis.scheduling import InstanceDown, PlanChanged
from heterosis.scheduling.rivals import Rivals
from heterosis.scheduling.state import InstanceRecord
from heterosis.terms import Plan
from heterosis.testing import Driver, make_plan

FIRST, SECOND = make_plan({"a": 10.0}).placements


def records(*, shared: bool, modes: tuple[str, str] = ("default", "default")) -> list[InstanceRecord]:
    """Two instances, on the same slot or not, each of a power mode."""
    placements = FIRST, replace(SECOND, slots=FIRST.slots if shared else SECOND.slots)
    return [
        InstanceRecord(replace(each, configuration=replace(each.configuration, power_mode=mode)), depth=1)
        for each, mode in zip(placements, modes, strict=True)
    ]


def test_instances_with_slots_of_their_own_and_one_mode_are_no_rivals() -> None:
    """So nothing has to be kept of them."""
    assert Rivals.among(records(shared=False)) is None


@pytest.mark.parametrize(
    ("shared", "modes"),
    [
        pytest.param(True, ("default", "default"), id="one slot"),
        pytest.param(False, ("default", "low"), id="two modes"),
    ],
)
def test_while_one_runs_its_rival_is_not_let(shared: bool, modes: tuple[str, str]) -> None:  # noqa: FBT001
    """And each change names whom it concerns."""
    first, second = both = records(shared=shared, modes=modes)
    rivals = Rivals.among(both)
    assert rivals is not None
    assert rivals.let(first)
    assert rivals.let(second)
    assert second in rivals.began(first)
    assert not rivals.let(second)
    assert second in rivals.ended(first)
    assert rivals.let(second)


def two_modes() -> Plan:
    """Two instances that run at full speed, and one that does not, on slots of their own."""
    plan = make_plan({"a": 10.0}, slots=3)
    *others, last = plan.placements
    return replace(
        plan,
        placements=(*others, replace(last, configuration=replace(last.configuration, power_mode="low"))),
        points=(
            *plan.points,
            *(replace(each, configuration=replace(each.configuration, power_mode="low")) for each in plan.points),
        ),
    )


def test_who_rivals_are_is_found_out_anew_once_one_has_gone() -> None:
    """Though by then another runs: one of the other mode is shut out, and let in again."""
    plan = two_modes()
    driver = Driver(plan)
    driver(PlanChanged(plan=replace(plan, placements=plan.placements[1:])))
    driver(InstanceDown(instance="a-0", reason="stopped"))
    driver.ask("r")
    running = {name for name, each in driver.scheduler.instances.items() if each.batches}
    assert len(running) == 1
    assert not any(
        driver.scheduler.view.can_take(each) for each in driver.scheduler.instances.values() if not each.batches
    )
    driver.done(*running)
    assert all(driver.scheduler.view.can_take(each) for each in driver.scheduler.instances.values())
