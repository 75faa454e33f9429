"""This machine as a fleet of one node, and its name in records."""

import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from heterosis.devices import amd, coral, cpu, jetson, nvidia, openvino, xilinx
from heterosis.devices.findings import Find, Finding, Unseen
from heterosis.devices.sysfs import ROOT, text
from heterosis.terms import Fleet, Node

FINDERS: dict[str, Find] = {
    "cpu": cpu.find,
    "nvidia": nvidia.find,
    "amd": amd.find,
    "jetson": jetson.find,
    "openvino": openvino.find,
    "coral": coral.find,
    "xilinx": xilinx.find,
}


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """All that a look at a machine brought up. Read as a `Fleet`, it is one of this machine."""

    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]


def look(root: Path = ROOT, finders: Mapping[str, Find] = FINDERS) -> Machine:
    """Look for devices of every kind. Another ``root`` than ``/`` has the files of another machine."""
    found = [each for find in finders.values() for each in find(root)]
    findings = tuple(each for each in found if isinstance(each, Finding))
    return Machine(
        nodes=(Node(name=node_name(root), devices=tuple(finding.device for finding in findings)),),
        findings=findings,
        unseen=tuple(each for each in found if isinstance(each, Unseen)),
    )


def local_fleet(root: Path = ROOT) -> Fleet:
    """Return this machine as far as its CPU: one node, one device, with a slot for each core that we may use."""
    (found,) = (each for each in cpu.find(root) if isinstance(each, Finding))
    return Fleet(nodes=(Node(name=node_name(root), devices=(found.device,)),))


def node_name(root: Path = ROOT) -> str:
    """Return the name of this machine."""
    return text(root / "proc/sys/kernel/hostname") or platform.node() or "localhost"


def describe(root: Path = ROOT) -> str:
    """Name the machine that a measurement holds for: machines alike in CPU, cores, memory and system share it."""
    identity = cpu.read_cpu(root)
    memory = cpu.memory_bytes(root)
    size = f", {memory / 2**30:.0f} GiB" if memory else ""
    return (
        f"{identity.name} (family {identity.family}, model {identity.model}, {len(identity.flags)} flags), "
        f"{len(cpu.usable_cores(root))} cores{size}, {platform.system()} {platform.machine()}"
    )
