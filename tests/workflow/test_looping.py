"""What the machine that serves is planned for, when the plan follows the load."""

from msgspec.structs import replace

from heterosis.planning.fleet import Objective
from heterosis.terms import UNKNOWN, Device, DeviceType, Fleet, Node, PowerMode
from heterosis.testing import make_plan
from heterosis.workflow.looping import objective, on_anyway


def test_energy_counts_where_it_is_known_of_everything() -> None:
    """One point without it, and options are compared by how busy they keep the machine."""
    points = make_plan({"a": 1.0}).points
    assert objective(points) is Objective.ENERGY
    assert objective((*points, replace(points[0], dynamic_energy=UNKNOWN))) is Objective.BUSY


def test_the_machine_draws_its_idle_power_anyway() -> None:
    """Only what is above it is planned for; of a machine that nobody knows, nothing is."""
    known, unknown = PowerMode(name="known", idle_power_w=2.0, active_power_w=5.0), PowerMode(name="unknown")
    kind = DeviceType(name="k", kind="cpu", power_modes=(known, unknown))
    fleet = Fleet(nodes=(Node(name="here", devices=(Device(name="cpu", type=kind, slots=2),)),))
    (device,) = on_anyway(fleet).devices
    assert [device.idle_power_w(mode) for mode in ("known", "unknown")] == [0.0, 0.0]
    assert [device.dynamic_power_w(mode) for mode in ("known", "unknown")] == [1.5, None]
