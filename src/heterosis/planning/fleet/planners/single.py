"""Plain answers: every stage on the device type that is fastest for it, or everything on one kind of device.

Both plan with our own options, waits and program, and leave out the other devices: what they lack against ours is what
the mix is worth. "Fastest device" and "homogeneous" are the baselines of KAIROS and Ribbon, among others.
"""

from heterosis.planning.fleet.allotment import Allotment
from heterosis.planning.fleet.costs import cost
from heterosis.planning.fleet.options import Group, Option
from heterosis.planning.fleet.planner import allot, usable
from heterosis.planning.fleet.task import Task


def fastest(task: Task) -> Allotment | None:
    """Plan each stage for the group of devices on which a call of its best variant takes least."""
    options = usable(task)
    groups: dict[str, Group] = {}
    for stage in task.stages:
        of_stage = [option for option in options if option.stage == stage]
        if not of_stage:
            return None
        best = max(option.variant.accuracy or 0.0 for option in of_stage)
        of_best = [option for option in of_stage if (option.variant.accuracy or 0.0) == best]
        groups[stage] = min(of_best, key=lambda option: (option.run_s, option.slot_s)).group
    return _of(task, [option for option in options if option.group == groups[option.stage]], "fastest")


def homogeneous(task: Task) -> Allotment | None:
    """Plan for each kind of device alone; the one that costs least by the task's objective."""
    options = usable(task)
    found = [
        _of(task, [option for option in options if option.group[0] == kind], "homogeneous")
        for kind in range(len(task.kinds))
    ]
    return min((each for each in found if each is not None), key=lambda each: cost(task, each), default=None)


def _of(task: Task, options: list[Option], planner: str) -> Allotment | None:
    answer = allot(task, options=options)
    if answer is None:
        return None
    return Allotment(planner=planner, shares=answer.allotment.shares, reasons=answer.allotment.reasons)
