"""Who plans: ours, ours with one thing left out, and planners that do not look at energy."""

from collections.abc import Callable, Mapping
from functools import cache

import msgspec

from heterosis.control.questions import devices_on
from heterosis.planning.fleet import Allotment, Limits, Objective, Task, Workload, allot
from heterosis.planning.fleet.planner import usable
from heterosis.planning.fleet.planners import make_planner
from heterosis.studies.energy.setting import fleet
from heterosis.terms import Fleet, Plan, Profile

OURS = "heterosis"
LATENCY = 0.85
"""Of the SLO, what ours plans for."""
HORIZON_S = 60.0
"""For how long ours takes a plan to hold, when it weighs what starting a device costs."""


class Competitor(msgspec.Struct, frozen=True, kw_only=True):
    """A planner, and what it is given to plan with."""

    name: str
    objective: Objective
    planner: Callable[[Task], Allotment | None]
    fleet: Fleet
    mix: bool = False
    narrow: Callable[[Workload], Workload] = lambda workload: workload
    """Leaves out what it may not use."""
    power_off: bool = True
    """Whether devices without work are off; otherwise they idle."""

    def task(self, workloads: tuple[Workload, ...], now: Plan | None = None) -> Task:
        """What it is asked."""
        task = Task(
            workloads=tuple(map(self.narrow, workloads)),
            fleet=self.fleet,
            objectives=(self.objective,),
            mix=self.mix,
            horizon_s=HORIZON_S,
        )
        return task if now is None else msgspec.structs.replace(task, now=devices_on(task, now))

    def plan(self, task: Task) -> Allotment | None:
        """Plan."""
        return self.planner(task)


def _ours(task: Task) -> Allotment | None:
    answer = allot(task, limits=Limits(latency=LATENCY))
    return None if answer is None else answer.allotment


def _one_type(task: Task) -> Allotment | None:
    """Ours on one kind of device; the cheapest that can do it."""
    options = usable(task)
    found = []
    for number in range(len(task.kinds)):
        of = [option for option in options if option.group[0] == number]
        answer = allot(task, limits=Limits(latency=LATENCY), options=of)
        if answer is not None:
            found.append(answer)
    return min(found, key=lambda each: each.cost).allotment if found else None


@cache
def _fastest_modes() -> Fleet:
    """The rack with each device in its first mode, the fastest."""
    nodes = []
    for node in fleet().nodes:
        devices = tuple(
            msgspec.structs.replace(
                device, type=msgspec.structs.replace(device.type, power_modes=device.type.power_modes[:1])
            )
            for device in node.devices
        )
        nodes.append(msgspec.structs.replace(node, devices=devices))
    return Fleet(nodes=tuple(nodes))


def _most_portable(workload: Workload) -> Workload:
    """A workload whose stages have one variant, which most devices can run; of several, the most accurate.

    For who is given the models: the most accurate of all run on two sticks alone.
    """
    types: dict[tuple[str, str], set[str]] = {}
    for point in workload.profile.points:
        configuration = point.configuration
        types.setdefault((configuration.stage, configuration.variant), set()).add(configuration.device_type)
    kept = tuple(
        max(of, key=lambda each: (len(types.get((each.stage, each.name), ())), each.accuracy or 0.0))
        for of in map(workload.variants.of, workload.graph.stages)
    )
    return msgspec.structs.replace(workload, variants=msgspec.structs.replace(workload.variants, variants=kept))


def _one_by_one(workload: Workload) -> Workload:
    points = tuple(point for point in workload.profile.points if point.batch == 1)
    profile: Profile = msgspec.structs.replace(workload.profile, points=points)
    return msgspec.structs.replace(workload, profile=profile)


def competitors() -> Mapping[str, Competitor]:
    """All of them, by name."""
    rack = fleet()
    ours = Competitor(name=OURS, objective=Objective.ENERGY, planner=_ours, fleet=rack, mix=True)
    change = msgspec.structs.replace
    blind = {
        "fastest": Objective.DEVICES,
        "loki": Objective.DEVICES,
        "inferline": Objective.PRICE,
        "homogeneous": Objective.DEVICES,
    }
    found = [
        ours,
        *(
            Competitor(
                name=name,
                objective=objective,
                planner=make_planner(name),
                fleet=rack,
                narrow=_most_portable if name == "inferline" else lambda workload: workload,
            )
            for name, objective in blind.items()
        ),
        change(ours, name=f"{OURS}:without_power_off", power_off=False),
        change(ours, name=f"{OURS}:without_power_modes", fleet=_fastest_modes()),
        change(ours, name=f"{OURS}:without_variants", narrow=_most_portable),
        change(ours, name=f"{OURS}:without_mixing_variants", mix=False),
        change(ours, name=f"{OURS}:without_batching", narrow=_one_by_one),
        change(ours, name=f"{OURS}:without_mixing_devices", planner=_one_type),
    ]
    return {each.name: each for each in found}
