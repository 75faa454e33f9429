"""Whether to change plans: where the load asks for it, or where it saves more than it costs."""

from collections.abc import Mapping

import msgspec

from heterosis.planning.fleet.allotment import on_power_w
from heterosis.planning.fleet.assembly import groups_of
from heterosis.planning.fleet.changes.contents import present
from heterosis.planning.fleet.changes.headroom import Headroom, load_of, needed
from heterosis.planning.fleet.changes.transitions import Transition, calls_w, transition
from heterosis.planning.fleet.options import ROUNDING
from heterosis.planning.fleet.task import Objective, Task
from heterosis.terms import Plan


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to go from one plan to another, and why."""

    change: bool
    reason: str
    transition: Transition
    saves_w: float | None
    """Power of the old plan less that of the new one, at the new one's rate; None where unknown."""


def worthwhile(
    task: Task,
    old: Plan,
    new: Plan,
    *,
    load: Mapping[str, float] | None = None,
    horizon_s: float | None = None,
    least: float = 0.0,
) -> Decision:
    """Decide whether to change plans for as long as the new one is meant to hold (by default the task's horizon).

    A change is made where the old plan cannot bear ``load`` (by default what the new plan is for) or has another SLO.
    Else it is not made where too little would be left to serve with in between or after it, nor, for a task of least
    energy or carbon, where it saves no more joules within the horizon than it costs, or less than ``least`` (0..1) of
    what the old plan draws.
    """
    horizon_s = task.horizon_s if horizon_s is None else horizon_s
    load = load_of(new) if load is None else load
    old = present(task, old)
    way = transition(task, old, new, load)
    before_w, after_w = (_power_w(task, plan, new) for plan in (old, new))
    saves_w = None if before_w is None or after_w is None else before_w - after_w
    change, reason = _judged(task, old, new, way, Headroom((*old.points, *new.points), load))
    if not reason:
        change, reason = _paid_back(way, saves_w, horizon_s, least * (before_w or 0.0))
    return Decision(change=change, reason=reason, transition=way, saves_w=saves_w)


def _judged(task: Task, old: Plan, new: Plan, way: Transition, headroom: Headroom) -> tuple[bool, str]:
    """Decide by anything but joules; no reason where they are to decide."""
    if old == new:
        return False, "nothing changes"
    bears, enough = headroom.of(old.placements), needed(headroom, new.placements)
    if bears < enough * (1 - ROUNDING):
        return True, f"what runs bears {bears:.0%} of the load, and {enough:.0%} are needed"
    if old.slo != new.slo:
        return True, "the SLO is another"
    enough = needed(headroom, old.placements)
    if way.headroom < enough * (1 - ROUNDING):
        return False, f"in between or after it {way.headroom:.0%} of the load are borne, and {enough:.0%} are needed"
    if task.objectives[0] not in {Objective.ENERGY, Objective.CARBON}:
        return True, f"it is better by {task.objectives[0].value}"
    return False, ""


def _paid_back(way: Transition, saves_w: float | None, horizon_s: float, least_w: float) -> tuple[bool, str]:
    if saves_w is None or way.cost_j is None:
        return False, "whether it saves anything is unknown: a figure of power is missing"
    if way.takes_s > horizon_s:
        return False, f"it takes {way.takes_s:.3g} s, longer than it would hold"
    if 0 < saves_w < least_w:
        return False, f"it saves {saves_w:.3g} W, which is too little to be sure of"
    saved_j = saves_w * horizon_s
    return saved_j > way.cost_j, f"in {horizon_s:.4g} s it saves {saved_j:.4g} J, and it costs {way.cost_j:.4g} J"


def _power_w(task: Task, plan: Plan, load: Plan) -> float | None:
    """What a plan adds to the power of the fleet under the load of another."""
    total = calls_w(plan, load)
    for group, count in groups_of(task, plan).items():
        watts = on_power_w(task, group)
        if total is None or watts is None:
            return None
        total += count * watts
    return total
