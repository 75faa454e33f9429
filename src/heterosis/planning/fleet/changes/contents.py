"""What each device of a fleet hosts by a plan."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from heterosis.planning.fleet.task import Task, Unit
from heterosis.terms import Placement, Plan

Content = tuple[Placement, ...]
"""What one device hosts."""
Contents = Mapping[Unit, Content]
"""What each device hosts; those that host nothing may be left out."""


def contents(placements: Iterable[Placement]) -> dict[Unit, Content]:
    """Sort instances by device."""
    found: dict[Unit, list[Placement]] = defaultdict(list)
    for placement in placements:
        found[placement.node, placement.device].append(placement)
    return {unit: tuple(of) for unit, of in found.items()}


def hosted(on: Contents) -> list[Placement]:
    """All instances on all devices."""
    return [placement for of in on.values() for placement in of]


def anonymous(content: Content) -> Content:
    """What instances are, wherever they are and whatever they are called."""
    return tuple(msgspec.structs.replace(each, instance="", node="", device="") for each in content)


def power_mode(placements: Collection[Placement]) -> str:
    """The power mode of a device that hosts these: plans have one for each."""
    return next(iter(placements)).configuration.power_mode


def present(task: Task, plan: Plan) -> Plan:
    """Return a plan without the instances of devices that the fleet does not have, or no longer."""
    units = {unit for kind in task.kinds for unit in kind.units}
    placements = tuple(each for each in plan.placements if (each.node, each.device) in units)
    return msgspec.structs.replace(plan, placements=placements)
