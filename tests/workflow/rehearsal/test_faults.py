"""Faults as they are written, played live, and simulated."""

from pathlib import Path

import msgspec
import pytest

from heterosis.catalogue import open_fleet
from heterosis.simulation import DeviceFailure, Slowdown
from heterosis.terms.errors import UsageError
from heterosis.workflow.rehearsal.faults import Fault, kill_fault, play, simulated_faults, slow_fault

RACK = open_fleet("edge-rack")


def test_a_device_slows_down() -> None:
    """By its node and name."""
    assert slow_fault("orin-nx-1/orin-nx-1=2@120", RACK) == [
        Fault(node="orin-nx-1", device="orin-nx-1", at_s=120.0, factor=2.0)
    ]


def test_a_node_dies_with_all_its_devices_and_comes_back() -> None:
    """The hub has three; the simulator is told for how long they are away."""
    faults = kill_fault("hub@30+2", RACK)
    assert [(each.at_s, each.factor) for each in faults] == [(30.0, 0.0)] * 3 + [(32.0, 1.0)] * 3
    failures, slowdowns = simulated_faults(faults)
    assert failures == [DeviceFailure("hub", each.device, 30.0, 2.0) for each in faults[:3]]
    assert slowdowns == [Slowdown("hub", each.device, 32.0, 1.0) for each in faults[:3]]


@pytest.mark.parametrize("text", ["nowhere/orin-nx-1=2@120", "orin-nx-1/orin-nx-1=twice@120", "orin-nx-1"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    """With what the fleet has, or how faults are written."""
    with pytest.raises(UsageError, match=r"no node|is no fault"):
        slow_fault(text, RACK)


async def test_faults_are_written_when_they_are_due(tmp_path: Path) -> None:
    """Later ones beside earlier ones."""
    path = tmp_path / "faults.json"
    faults = [Fault(node="a", device="b", at_s=0.05, factor=2.0), Fault(node="a", device="c", at_s=0.0, factor=0.0)]
    await play(faults, path)
    assert msgspec.json.decode(path.read_bytes()) == {"a/c": 0.0, "a/b": 2.0}
