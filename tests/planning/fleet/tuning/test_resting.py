"""Devices at rest: when they sleep, when they are switched off, and that this is never far from the best."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.planning.fleet.changes.contents import contents
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.task import Task
from heterosis.planning.fleet.tuning.resting import State, resting, rests
from heterosis.terms import DeviceType, Fleet, PowerMode
from heterosis.terms.errors import UsageError
from heterosis.testing.two_kinds import one_mode, tasks

watts, joules = st.integers(0, 1000).map(lambda tenths: tenths / 10), st.floats(0.01, 1e4)
lower = st.lists(st.builds(State, name=st.just("lower"), power_w=watts, back_j=joules), max_size=5)


def spent_j(plan: list[tuple[State, float]], nothing_to_do_s: float) -> float:
    """Joules of a rest of this length by a plan: in each state until the next, and back from the last."""
    entered = [each for each in plan if each[1] <= nothing_to_do_s]
    ends = [*(after_s for _, after_s in entered[1:]), nothing_to_do_s]
    drawn = sum(state.power_w * (end - after_s) for (state, after_s), end in zip(entered, ends, strict=True))
    return drawn + entered[-1][0].back_j


@given(watts, lower, st.floats(0, 1e5))
def test_it_takes_at_most_twice_what_one_who_knows_the_end_would_spend(
    idle_w: float, states: list[State], nothing_to_do_s: float
) -> None:
    """Whatever the states, and however long there is nothing to do."""
    states = [State(name="idle", power_w=idle_w), *states]
    best = min(state.power_w * nothing_to_do_s + state.back_j for state in states)
    assert spent_j(rests(states), nothing_to_do_s) <= 2 * best * (1 + 1e-9) + 1e-9


@given(watts, lower)
def test_states_are_entered_in_order_and_each_draws_less(idle_w: float, states: list[State]) -> None:
    """From idle downwards; what is never the cheapest is never entered."""
    found = rests([State(name="idle", power_w=idle_w), *states])
    assert found[0] == (State(name="idle", power_w=idle_w), 0.0)
    for (before, at), (after, later) in pairwise(found):
        assert after.power_w < before.power_w
        assert later >= at * (1 - 1e-9)
        assert later * before.power_w + before.back_j == pytest.approx(later * after.power_w + after.back_j)


def test_a_device_sleeps_first_and_is_switched_off_when_even_that_has_cost_its_loading() -> None:
    """10 W idle, 1 W asleep, 2 s to wake: 20 J are saved in 20 / 9 s; loading again, in as many seconds as joules."""
    task, options = tasks()
    sleeper = DeviceType(
        name="kind0",
        kind="gpu",
        power_modes=(PowerMode(name="mode0", idle_power_w=10.0, active_power_w=30.0),),
        sleep_power_w=1.0,
        wake_ms=2000.0,
    )
    plan = one_mode(task, options, "mode0", 1, 10.0)
    ((unit, hosted),) = contents(plan.placements).items()
    starts = Starts(_with_type(task, sleeper), plan.points)
    names = resting(starts, unit, hosted)
    loads_j = 2 * 20.0 * 0.5 + 10.0 * 0.5
    assert names == [("idle", 0.0), ("sleep", pytest.approx(20.0 / 9.0)), ("off", pytest.approx(loads_j / 1.0))]
    sleepless = Starts(_with_type(task, msgspec.structs.replace(sleeper, sleep_power_w=None)), plan.points)
    names = resting(sleepless, unit, hosted)
    assert names == [("idle", 0.0), ("off", pytest.approx((20.0 + loads_j) / 10.0))]


def _with_type(task: Task, kind: DeviceType) -> Task:
    nodes = [
        msgspec.structs.replace(
            node,
            devices=tuple(
                msgspec.structs.replace(each, type=kind) if each.type.name == kind.name else each
                for each in node.devices
            ),
        )
        for node in task.fleet.nodes
    ]
    return msgspec.structs.replace(task, fleet=Fleet(nodes=tuple(nodes)))


def test_a_device_of_unknown_power_stays_as_it_is() -> None:
    """What it would save is unknown."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 1, 10.0)
    ((unit, hosted),) = contents(plan.placements).items()
    dark = DeviceType(name="kind0", kind="gpu", power_modes=(PowerMode(name="mode0"),), sleep_power_w=1.0)
    assert resting(Starts(_with_type(task, dark), plan.points), unit, hosted) == [("idle", 0.0)]


def test_one_state_must_be_back_at_once() -> None:
    """That is where a device comes from."""
    with pytest.raises(UsageError, match="must cost nothing"):
        rests([State(name="off", power_w=0.0, back_j=1.0)])
