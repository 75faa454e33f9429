"""The CPU: what it is, which of its cores this process may use, and what sets its clock."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec

from heterosis.catalogue import CpuIdentity, find_cpu, match_type
from heterosis.devices.cgroup import cpu_quota, memory_limit
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.modes.cpufreq import policies
from heterosis.devices.sysfs import ROOT, number, text
from heterosis.terms import Device, Quality

INFERENCE_SETS = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "fphp", "bf16", "i8mm", "sve", "sve2", "sme"),
)
"""Of the instruction sets, those that decide how fast which precision is, by Linux's names."""


def find(root: Path = ROOT) -> Iterator[Finding | Unseen]:
    """Return the CPU. It has a slot for each core that this process may use."""
    cpu, cores, everyones = read_cpu(root), usable_cores(root), cores_of_machine(root)
    sets = [name for name in INFERENCE_SETS if name in cpu.flags]
    quota = cpu_quota(root)
    facts = {
        "cores": f"{everyones}, of which this process may use {len(cores)}"
        + ("" if quota is None else f" (a control group's quota pays for {quota:g})"),
        "instruction sets": ", ".join(sets) or "none of those that inference asks for",
        "clock": _clock(root),
    }
    kind = find_cpu(cpu, len(cores))
    if kind.quality is Quality.NONE:  # boards are known by their names; ours run whatever engines we give them
        known = match_type(cpu.name, "cpu")
        kind = kind if known.quality is Quality.NONE else msgspec.structs.replace(known, engines=())
    yield Finding(
        device=Device(name="cpu", type=kind, slots=len(cores), memory_bytes=memory_bytes(root)),
        model=cpu.name,
        facts=facts,
    )


def usable_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Return the system's numbers of the cores that this process may use; a device's slot k is the k-th of them.

    They are those of its affinity mask, and no more than its control group's quota of CPU time pays for.
    """
    cores = sorted(os.sched_getaffinity(0)) if root == ROOT else range(cores_of_machine(root))
    quota = cpu_quota(root)
    return tuple(cores if quota is None else cores[: max(1, int(quota))])


def cores_of_machine(root: Path = ROOT) -> int:
    """Count the hardware threads that are online."""
    return max(1, text(root / "proc/cpuinfo").count("processor\t"))


def memory_bytes(root: Path = ROOT) -> int | None:
    """Return the memory that this process may use; None where the system does not say."""
    known = [limit for limit in (memory_limit(root), memory_of_machine(root)) if limit is not None]
    return min(known, default=None)


def memory_of_machine(root: Path = ROOT) -> int | None:
    """Return all memory that the system has; None where it does not say."""
    for line in text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def read_cpu(root: Path = ROOT) -> CpuIdentity:
    """Read what the CPU says of itself (on Arm boards, where it says little, the board's name or the part's number)."""
    facts: dict[str, str] = {}
    for line in text(root / "proc/cpuinfo").splitlines():
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


def _clock(root: Path) -> str:
    found = policies(root)
    if not found:
        return "not ours to set: no cpufreq, as in most virtual machines"
    policy = found[0]
    lowest, highest = (number(policy / f"cpuinfo_{end}_freq") or 0 for end in ("min", "max"))
    return (
        f"{text(policy / 'scaling_driver')}, governor {text(policy / 'scaling_governor')}, "
        f"{lowest // 1000} to {highest // 1000} MHz"
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
