"""Finds a CPU in the catalogue: by its name, by its number, or, where a hypervisor hides both, by its instructions.

The three ways, in this order:

1. the model name, which a vendor gives to one micro-architecture only;
2. the number (CPUID family and model), unless the instruction sets speak against it: hypervisors make up numbers, but
   they cannot make up instructions;
3. for names that are known to be masks, the instruction sets: the newest entry all of whose instructions are there.
"""

import functools
import re
from importlib.resources import files

import msgspec

from heterosis.terms import DeviceType, PowerMode, Quality


class CpuIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a CPU says of itself. ``flags`` are Linux's names of its instruction sets; 0 is an unknown number."""

    name: str
    vendor: str = ""
    family: int = 0
    model: int = 0
    flags: frozenset[str] = frozenset()


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    url: str
    licence: str
    quality: Quality
    method: str


class _Masks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]


class _Cpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One micro-architecture. ``numbers`` are ``family:model``; without ``flags``, instructions do not identify it."""

    name: str
    vendor: str
    names: tuple[str, ...]
    idle_power_w_per_vcpu: float
    active_power_w_per_vcpu: float
    source: str
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    absent_flags: tuple[str, ...] = ()


class _Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, _Source]
    masks: _Masks
    cpu: tuple[_Cpu, ...]


@functools.cache
def catalogue() -> _Catalogue:
    """Read the catalogue that ships with heterosis."""
    return msgspec.toml.decode(files(__package__).joinpath("cpus.toml").read_bytes(), type=_Catalogue)


def find_cpu(cpu: CpuIdentity, cores: int) -> DeviceType:
    """Return the device type of ``cores`` vCPUs (hardware threads) of a CPU.

    Its ``source`` says where the power comes from and how the CPU was recognised. A CPU that is not in the catalogue
    has unknown power.
    """
    found, how = _match(cpu)
    if found is None:
        return DeviceType(name=f"{_slug(cpu.name)}-{cores}vcpu", kind="cpu", source=how)
    source = catalogue().sources[found.source]
    mode = PowerMode(
        name="default",
        idle_power_w=found.idle_power_w_per_vcpu * cores,
        active_power_w=found.active_power_w_per_vcpu * cores,
    )
    return DeviceType(
        name=f"{_slug(found.name)}-{cores}vcpu",
        kind="cpu",
        power_modes=(mode,),
        quality=source.quality,
        source=f"{found.name}, recognised by {how}; {source.title}, {source.url}: {source.method}",
    )


def _match(cpu: CpuIdentity) -> tuple[_Cpu | None, str]:
    """Find the entry of a CPU, and say how it was found or why not."""
    entries = [entry for entry in catalogue().cpu if entry.vendor == cpu.vendor]
    for entry in entries:
        if any(re.search(pattern, cpu.name) for pattern in entry.names):
            return entry, f"its name {cpu.name!r}"
    able = [entry for entry in entries if entry.flags and _has(cpu, entry)]
    newest = [entry for entry in able if entry.flags == able[0].flags]
    number = f"{cpu.family}:{cpu.model}"
    for entry in newest:
        if number in entry.numbers:
            return entry, f"its family and model number {number}"
    if newest and any(re.search(pattern, cpu.name) for pattern in catalogue().masks.names):
        flags = ", ".join(newest[0].flags)
        others = "".join(f" or {entry.name}" for entry in newest[1:])
        return newest[0], f"its instructions ({flags}{others and ';' + others}), as the name {cpu.name!r} hides it"
    return None, f"power unknown: {cpu.name!r} is not in the catalogue"


def _has(cpu: CpuIdentity, entry: _Cpu) -> bool:
    return cpu.flags.issuperset(entry.flags) and cpu.flags.isdisjoint(entry.absent_flags)


def _slug(name: str) -> str:
    plain = re.sub(r"\((R|TM)\)|@.*", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "cpu"
