"""A plan on two devices of two power modes each, and the fleet that it is for."""

from typing import NamedTuple

import msgspec
import pytest

from heterosis.terms import Configuration, Device, DeviceType, Fleet, Node, Plan, PowerMode, Quality
from heterosis.testing import make_plan

WATTS = {"default": (10.0, 30.0), "low": (6.0, 14.0)}
"""Idle and active power of a device of two slots, by power mode."""


class World(NamedTuple):
    """What a test with power needs."""

    plan: Plan
    fleet: Fleet
    type: DeviceType


def make_fleet(kind: DeviceType) -> Fleet:
    """Two nodes with a device of two slots each, and a third one that no plan uses."""
    devices = [Device(name="toy", type=kind, slots=2) for _ in range(3)]
    names = ("here", "there", "spare")
    return Fleet(nodes=tuple(Node(name=name, devices=(one,)) for name, one in zip(names, devices, strict=True)))


@pytest.fixture
def world() -> World:
    """Stages a and b: on node ``here`` at full power, on node ``there`` the same in power mode ``low``, as fast."""
    kind = DeviceType(
        name="toy",
        kind="cpu",
        power_modes=tuple(
            PowerMode(name=name, idle_power_w=idle, active_power_w=active) for name, (idle, active) in WATTS.items()
        ),
        quality=Quality.SAMPLED,
        sleep_power_w=1.0,
        wake_ms=40.0,
        switch_ms=50.0,
        switch_j=0.5,
    )
    plan = make_plan({"a": 10.0, "b": 20.0}, slo_ms=500.0, policy="fcfs")
    points = [each for p in plan.points for each in (p, msgspec.structs.replace(p, configuration=low(p.configuration)))]
    placements = [
        *plan.placements,
        *(
            msgspec.structs.replace(
                placement,
                instance=f"{placement.instance}-low",
                configuration=low(placement.configuration),
                node="there",
            )
            for placement in plan.placements
        ),
    ]
    points = [msgspec.structs.replace(point, load_ms=300.0, warm_up_ms=200.0) for point in points]
    plan = msgspec.structs.replace(plan, points=tuple(points), placements=tuple(placements))
    return World(plan, make_fleet(kind), kind)


def low(configuration: Configuration) -> Configuration:
    """The same in the power mode ``low``."""
    return msgspec.structs.replace(configuration, power_mode="low")


def on_node(plan: Plan, node: str) -> Plan:
    """The part of a plan on one node."""
    placements = tuple(placement for placement in plan.placements if placement.node == node)
    configurations = {placement.configuration for placement in placements}
    points = tuple(point for point in plan.points if point.configuration in configurations)
    return msgspec.structs.replace(plan, placements=placements, points=points)
