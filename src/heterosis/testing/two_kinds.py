"""A fleet of two kinds of devices that take time to wake and to change their power mode, and plans for it."""

from functools import cache

import msgspec
import numpy as np

from heterosis.planning.fleet import Allotment, Hosted, Option, Share, Task, enumerate_options, to_plan
from heterosis.planning.fleet.changes.contents import contents, power_mode
from heterosis.terms import Fleet, Plan
from heterosis.testing.tasks import make_task

DEVICES, BATCH = 4, 4


@cache
def tasks(memory: int | None = None) -> tuple[Task, list[Option]]:
    """Two stages on two kinds of devices, which take time and joules to wake and to change their power mode."""
    task = make_task(5, modes=2, devices=DEVICES)
    nodes = [
        msgspec.structs.replace(
            node,
            devices=tuple(
                msgspec.structs.replace(
                    device,
                    memory_bytes=memory,
                    type=msgspec.structs.replace(device.type, wake_ms=2000.0, switch_ms=300.0, switch_j=5.0),
                )
                for device in node.devices
            ),
        )
        for node in task.fleet.nodes
    ]
    task = msgspec.structs.replace(task, fleet=Fleet(nodes=tuple(nodes)))
    return task, enumerate_options(task)


def one_mode(task: Task, options: list[Option], mode: str, count: int, per_s: float, kind: int = 0) -> Plan:
    """Both stages on so many devices of a kind, in one power mode."""
    hosts = [
        next(each for each in options if each.stage == stage and each.group == (kind, mode) and each.batch == BATCH)
        for stage in task.stages
    ]
    share = Share(group=(kind, mode), count=count, hosts=tuple(Hosted(option=each, per_s=per_s) for each in hosts))
    return to_plan(task, Allotment(planner="by hand", shares=(share,)))


def draw_plan(task: Task, options: list[Option], rng: np.random.Generator) -> Plan:
    """Draw shares that between them host every stage; whether they can bear the load is left to chance."""
    shares, missing = [], set(task.stages)
    for number, kind in enumerate(task.kinds):
        left = len(kind.units)
        last = number == len(task.kinds) - 1
        for _ in range(int(rng.integers(0, 3)) or last):
            count = int(rng.integers(0, left + 1)) or last
            if not 0 < count <= left:
                continue
            mode = str(rng.choice([mode.name for mode in kind.type.power_modes]))
            of = [stage for stage in task.stages if (last and stage in missing) or rng.integers(2)]
            hosts = []
            for stage in of:
                usable = [each for each in options if each.stage == stage and each.group == (number, mode)]
                hosts.append(Hosted(option=usable[int(rng.integers(len(usable)))], per_s=float(rng.uniform(1, 20))))
            if hosts:
                shares.append(Share(group=(number, mode), count=count, hosts=tuple(hosts)))
                missing -= set(of)
                left -= count
    return to_plan(task, Allotment(planner="drawn", shares=tuple(shares)))


def draw(seed: int, *, memory: int | None = None) -> tuple[Task, Plan, Plan]:
    """Draw two plans for a task."""
    task, options = tasks(memory)
    rng = np.random.default_rng(seed)
    return task, draw_plan(task, options, rng), draw_plan(task, options, rng)


def turning(old: Plan, new: Plan) -> list[tuple[str, str]]:
    """Devices that are in another power mode in another plan."""
    before, after = contents(old.placements), contents(new.placements)
    return [unit for unit in before if unit in after and power_mode(before[unit]) != power_mode(after[unit])]
