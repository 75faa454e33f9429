"""Changes of plan: made where the load asks for it, or where they save more than they cost."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet import Objective, Task
from heterosis.planning.fleet.changes.headroom import Headroom
from heterosis.planning.fleet.changes.payback import worthwhile
from heterosis.terms import UNKNOWN, Fleet, Plan, Slo
from heterosis.testing.two_kinds import DEVICES, one_mode, tasks

RATE = 20.0


def both_bear() -> tuple[Task, Plan, Plan]:
    """Four devices of one kind, and two of the other, for a load that either can bear."""
    task, options = tasks()
    return task, one_mode(task, options, "mode0", 4, RATE), one_mode(task, options, "mode0", 2, RATE, kind=1)


def power_w(plan: Plan) -> float:
    """What a plan expects the fleet to draw."""
    assert plan.predicted.power.joules is not None
    return plan.predicted.power.joules


def test_a_change_pays_from_the_horizon_on_that_its_cost_is_saved_in() -> None:
    """A tenth before it is refused, a tenth after it is made; the reason gives both figures."""
    task, old, new = both_bear()
    assert power_w(new) < power_w(old)
    decision = worthwhile(task, old, new)
    cost_j = decision.transition.cost_j
    assert decision.saves_w == pytest.approx(power_w(old) - power_w(new))
    assert cost_j is not None
    even_s = cost_j / (power_w(old) - power_w(new))
    assert even_s > decision.transition.takes_s
    assert not worthwhile(task, old, new, horizon_s=0.9 * even_s).change
    paid = worthwhile(task, old, new, horizon_s=1.1 * even_s)
    assert paid.change
    assert f"it costs {cost_j:.4g} J" in paid.reason


@given(st.floats(0.1, 1e6))
@settings(max_examples=20, deadline=None)
def test_there_is_no_horizon_at_which_both_ways_pay(horizon_s: float) -> None:
    """So plans never swing to and fro under one load."""
    task, old, new = both_bear()
    decisions = [worthwhile(task, *pair, horizon_s=horizon_s) for pair in ((old, new), (new, old))]
    assert sum(decision.change for decision in decisions) <= 1


def test_what_saves_too_little_is_not_done() -> None:
    """However long it would hold: figures of power are not exact."""
    task, old, new = both_bear()
    share = 1 - power_w(new) / power_w(old)
    assert worthwhile(task, old, new, horizon_s=1e6, least=0.9 * share).change
    decision = worthwhile(task, old, new, horizon_s=1e6, least=1.1 * share)
    assert not decision.change
    assert "too little" in decision.reason


def test_what_takes_longer_than_it_holds_is_not_begun() -> None:
    """However much it would save."""
    task, old, new = both_bear()
    takes_s = worthwhile(task, old, new).transition.takes_s
    decision = worthwhile(task, old, new, horizon_s=0.99 * takes_s)
    assert not decision.change
    assert "longer than it would hold" in decision.reason


def test_a_load_beyond_the_old_plan_is_answered_whatever_it_costs() -> None:
    """More devices draw more, and are needed; once the load is gone they are not."""
    task, options = tasks()
    few, many = (one_mode(task, options, "mode0", count, RATE) for count in (1, DEVICES))
    unit = Headroom(few.points, dict.fromkeys(task.stages, 1.0)).of(few.placements)
    beyond = dict.fromkeys(task.stages, 1.5 * unit)
    up = worthwhile(task, few, many, load=beyond)
    assert up.change
    assert "what runs bears 67%" in up.reason
    assert not worthwhile(task, few, many, load=dict.fromkeys(task.stages, 0.5 * unit)).change
    assert not worthwhile(task, many, few, load=beyond).change
    assert worthwhile(task, many, few, load=dict.fromkeys(task.stages, 0.5 * unit)).change


def test_no_joule_is_saved_at_the_price_of_the_load() -> None:
    """Where no device can be spared to change its mode, none does; they would one at a time, if they must."""
    task, options = tasks()
    plans = [one_mode(task, options, mode, DEVICES, RATE) for mode in ("mode0", "mode1")]
    least = min(Headroom(each.points, dict.fromkeys(task.stages, 1.0)).of(each.placements) for each in plans)
    load = dict.fromkeys(task.stages, 0.85 * least)
    for old, new in (plans, plans[::-1]):
        decision = worthwhile(task, old, new, load=load)
        assert not decision.change
        assert "in between" in decision.reason
        assert decision.transition.headroom < 1


def test_devices_that_are_gone_are_replaced() -> None:
    """What runs is what is there."""
    task, options = tasks()
    old = one_mode(task, options, "mode0", 1, RATE)
    first, second = task.fleet.nodes
    left = msgspec.structs.replace(
        task, fleet=Fleet(nodes=(msgspec.structs.replace(first, devices=first.devices[1:]), second))
    )
    decision = worthwhile(left, old, one_mode(left, options, "mode0", 1, RATE))
    assert decision.change
    assert "what runs bears 0%" in decision.reason


def test_other_reasons_to_change_and_not_to() -> None:
    """Another SLO is obeyed; another objective than joules is believed; unknown power saves nothing for certain."""
    task, old, new = both_bear()
    assert worthwhile(task, old, old) == msgspec.structs.replace(
        worthwhile(task, old, old), change=False, reason="nothing changes", saves_w=0.0
    )
    stricter = msgspec.structs.replace(old, slo=Slo(latency_ms=400.0))
    assert worthwhile(task, old, stricter).change
    by_price = msgspec.structs.replace(task, objectives=(Objective.PRICE,))
    assert worthwhile(by_price, new, old).change
    assert not worthwhile(task, new, old).change
    dark = msgspec.structs.replace(
        new, predicted=msgspec.structs.replace(new.predicted, dynamic_energy_per_request=UNKNOWN)
    )
    decision = worthwhile(task, old, dark)
    assert not decision.change
    assert decision.saves_w is None
    assert "unknown" in decision.reason
