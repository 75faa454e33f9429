"""Which of a fleet's interchangeable devices a new plan is put on: those where least must be loaded, woken or switched.

A linear assignment of what the plan has devices host to the devices of a kind.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from heterosis.planning.fleet.changes.contents import Content, anonymous, contents
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.task import Task, Unit
from heterosis.terms import Placement, Plan

TURN_J = 1e6
"""What it counts as if a device could serve nothing while it goes from one content to another."""
TIE_J = 1e-6
"""What a new instance counts as besides its joules, so that instances are kept where joules are unknown."""


def settled(task: Task, old: Plan, new: Plan) -> Plan:
    """Return the new plan (of `to_plan`) on the devices of each kind on which least changes.

    Instances that both plans have keep their names. A device that would have to stop serving in between, to change its
    power mode or for want of memory, is taken only where no other is left; of devices that host nothing, those that
    sleep with what they are to host in memory come first.
    """
    before, after = contents(old.placements), contents(new.placements)
    starts = Starts(task, (*old.points, *new.points))
    placements: list[Placement] = []
    for kind in task.kinds:
        seats = [unit for unit in kind.units if unit in after]
        if seats:
            for seat, unit in zip(seats, _assigned(kind.units, seats, before, after, starts), strict=True):
                placements += _moved(after[seat], seat, unit, before.get(unit, ()))
    return msgspec.structs.replace(new, placements=tuple(placements))


def _assigned(
    units: tuple[Unit, ...],
    seats: list[Unit],
    before: Mapping[Unit, Content],
    after: Mapping[Unit, Content],
    starts: Starts,
) -> list[Unit]:
    """The device for each seat."""
    from scipy.optimize import linear_sum_assignment

    had = [(anonymous(before.get(unit, ())), frozenset(starts.kept(unit))) for unit in units]
    wanted = [anonymous(after[seat]) for seat in seats]
    kinds_had, kinds_wanted = dict(zip(had, units, strict=True)), list(dict.fromkeys(wanted))
    cost = np.array([[_cost(starts, unit, old, new) for (old, _), unit in kinds_had.items()] for new in kinds_wanted])
    rows = [kinds_wanted.index(each) for each in wanted]
    columns = [list(kinds_had).index(each) for each in had]
    _, chosen = linear_sum_assignment(cost[np.ix_(rows, columns)])
    return [units[number] for number in chosen]


def _cost(starts: Starts, unit: Unit, old: Content, new: Content) -> float:
    """Joules to bring a device like this from one content to another."""
    added = (Counter(new) - Counter(old)).elements()
    joules = math.fsum(TIE_J + starts.load_j(unit, placement) for placement in added)
    joules += starts.switch_j(unit, old, new) + starts.wake_j(unit, old, new)
    return joules + (0.0 if starts.beside(unit, old, new) else TURN_J)


def _moved(content: Content, seat: Unit, unit: Unit, had: Content) -> Iterable[Placement]:
    """What a device is to host, under the names that it is known by there already."""
    known: dict[Placement, list[Placement]] = defaultdict(list)
    for placement, what in zip(had, anonymous(had), strict=True):
        known[what].append(placement)
    for placement, what in zip(content, anonymous(content), strict=True):
        same = known[what]
        if same:
            yield same.pop(0)
        else:
            name = placement.instance.replace("/".join(("", *seat, "")), "/".join(("", *unit, "")))
            yield msgspec.structs.replace(placement, instance=name, node=unit[0], device=unit[1])
