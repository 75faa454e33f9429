"""What hardware this machine offers."""

import os
import platform
from pathlib import Path

from heterosis.catalogue import CpuIdentity, find_cpu
from heterosis.devices.cgroup import cpu_quota, memory_limit
from heterosis.terms import Device, Fleet, Node

ROOT = Path("/")


def local_fleet(root: Path = ROOT) -> Fleet:
    """Return this machine: one node with its CPU.

    The CPU has a slot for each core that this process may use: those of its affinity mask, and no more than its control
    group's quota of CPU time pays for. Another ``root`` than ``/`` reads the files of another machine.
    """
    cores = usable_cores(root)
    cpu = Device(
        name="cpu", type=find_cpu(read_cpu(root), len(cores)), slots=len(cores), memory_bytes=memory_bytes(root)
    )
    hostname = _read(root / "proc/sys/kernel/hostname").strip() or platform.node() or "localhost"
    return Fleet(nodes=(Node(name=hostname, devices=(cpu,)),))


def usable_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Return the system's numbers of the cores that this process may use; a device's slot k is the k-th of them."""
    cores = (
        sorted(os.sched_getaffinity(0)) if root == ROOT else range(_read(root / "proc/cpuinfo").count("processor\t"))
    )
    quota = cpu_quota(root)
    return tuple(cores if quota is None else cores[: max(1, int(quota))])


def memory_bytes(root: Path = ROOT) -> int | None:
    """Return the memory that this process may use; None where the system does not say."""
    known = [limit for limit in (memory_limit(root), _memory_of_machine(root)) if limit is not None]
    return min(known, default=None)


def read_cpu(root: Path = ROOT) -> CpuIdentity:
    """Read what the CPU says of itself (on Arm boards, where it says little, the board's name or the part's number)."""
    facts: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    part = " ".join(facts[key] for key in ("CPU implementer", "CPU part") if key in facts)
    return CpuIdentity(
        name=facts.get("model name") or facts.get("Model") or part or platform.machine(),
        vendor=facts.get("vendor_id") or facts.get("CPU implementer", ""),
        family=_number(facts.get("cpu family")),
        model=_number(facts.get("model")),
        flags=frozenset((facts.get("flags") or facts.get("Features", "")).split()),
    )


def describe(root: Path = ROOT) -> str:
    """Name the machine that a measurement holds for: machines alike in CPU, cores, memory and system share it."""
    cpu = read_cpu(root)
    memory = memory_bytes(root)
    size = f", {memory / 2**30:.0f} GiB" if memory else ""
    return (
        f"{cpu.name} (family {cpu.family}, model {cpu.model}, {len(cpu.flags)} flags), "
        f"{len(usable_cores(root))} cores{size}, {platform.system()} {platform.machine()}"
    )


def _memory_of_machine(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
