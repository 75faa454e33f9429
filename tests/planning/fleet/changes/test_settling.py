"""Settling: a new plan on those of its kinds' devices on which least changes."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet.changes.contents import Content, anonymous, contents
from heterosis.planning.fleet.changes.settling import settled
from heterosis.planning.fleet.changes.transitions import transition
from heterosis.terms import Plan
from heterosis.testing.two_kinds import draw, turning

seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_settling_keeps_what_can_be_kept(seed: int) -> None:
    """The plan stays what it is, on other devices of its kinds; never is less kept, nor more loaded."""
    task, old, new = draw(seed)
    kept = settled(task, old, new)

    def hosted(plan: Plan) -> Counter[tuple[int, Content]]:
        number = {unit: number for number, kind in enumerate(task.kinds) for unit in kind.units}
        of = contents(plan.placements)
        return Counter((number[unit], anonymous(each)) for unit, each in of.items())

    assert hosted(kept) == hosted(new)
    assert len({placement.instance for placement in kept.placements}) == len(new.placements)
    plain, better = ((len(turning(old, each)), transition(task, old, each).starting_j) for each in (new, kept))
    assert better[0] <= plain[0]
    if better[0] == plain[0]:
        assert better[1] <= plain[1] + 1e-3


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_the_same_shares_on_other_devices_change_nothing_once_settled(seed: int) -> None:
    """Devices of a kind are interchangeable."""
    task, plan, _ = draw(seed)
    units = {unit: kind.units[::-1][at] for kind in task.kinds for at, unit in enumerate(kind.units)}
    mirrored = msgspec.structs.replace(
        plan,
        placements=tuple(
            msgspec.structs.replace(
                each,
                instance=each.instance.replace(f"/{each.node}/{each.device}/", "/".join(("", *unit, ""))),
                node=unit[0],
                device=unit[1],
            )
            for each in plan.placements
            for unit in [units[each.node, each.device]]
        ),
    )
    back = settled(task, plan, mirrored)
    assert set(back.placements) == set(plan.placements)
    way = transition(task, plan, back)
    assert (way.starting_j, way.takes_s, len(way.steps)) == (0.0, 0.0, 1)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_what_sleeps_with_it_in_memory_is_woken_first(seed: int) -> None:
    """And nothing is loaded on it: it costs what the device draws until it is awake."""
    task, _, new = draw(seed)
    nothing = msgspec.structs.replace(new, placements=())
    on = contents(new.placements)
    asleep = {unit: kind.units[::-1][at] for kind in task.kinds for at, unit in enumerate(kind.units)}
    kept = {asleep[unit]: tuple(each.configuration for each in of) for unit, of in on.items()}
    resting = msgspec.structs.replace(task, kept=kept)
    woken = settled(resting, nothing, new)
    assert {(each.node, each.device) for each in woken.placements} == set(kept)
    assert transition(resting, nothing, woken).starting_j == 0.0
    assert transition(task, nothing, woken).starting_j > 0.0
