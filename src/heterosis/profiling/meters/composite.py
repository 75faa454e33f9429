"""The best meter that each device has, and none counted twice."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from heterosis.devices.cpu import cores_of_machine
from heterosis.devices.sysfs import ROOT
from heterosis.profiling.meters import amd, ina3221, nvml, rapl
from heterosis.profiling.meters.attribution import Attributed, IdlePower, measure_idle, total
from heterosis.profiling.meters.meter import DYNAMIC, IDLE, HardwareMeter
from heterosis.profiling.meters.processes import FAMILY_PERIOD_S, Families, machine_cpu_seconds
from heterosis.profiling.meters.utilisation import UtilisationMeter
from heterosis.terms import UNKNOWN, Device, Energy
from heterosis.terms.errors import HardwareError

Opener = Callable[[Sequence[Device], Path], Iterable[Callable[[], HardwareMeter]]]
"""Finds what of the devices it could read; the meters that it returns are made, or refused, one by one."""

METERS: dict[str, Opener] = {
    "nvml": nvml.meters,
    "rapl": rapl.meters,
    "amd": amd.meters,
    "ina3221": ina3221.meters,
}
"""What reads hardware, best first; a CPU that none of them covers is modelled."""

IDLE_S = 2.0


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What counts the joules of some devices, and why nothing better does."""

    devices: tuple[str, ...]
    meter: str
    """Empty where nothing can count them: their energy is unknown."""
    note: str = ""


class CompositeMeter:
    """Some meters, added up. An unknown one makes the sum unknown. A context manager that closes them."""

    def __init__(self, parts: Mapping[Source, Attributed | UtilisationMeter | None], families: Families) -> None:
        """``parts`` by what they are; None where there is no meter. ``families`` has the processes to count."""
        self._parts = dict(parts)
        self._families = families
        self._lock = threading.Lock()

    @property
    def sources(self) -> tuple[Source, ...]:
        """What counts which devices."""
        return tuple(self._parts)

    @property
    def resolution_s(self) -> float:
        """Of the slowest meter."""
        return max(
            (part.meter.resolution_s for part in self._parts.values() if isinstance(part, Attributed)), default=0.0
        )

    @property
    def period_s(self) -> float:
        """Of the meter that has to be read the most often."""
        return min((part.period_s for part in self._parts.values() if part is not None), default=FAMILY_PERIOD_S)

    def watch(self, pid: int) -> None:
        """Count a process and its children from now on."""
        self._families.watch(pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the processes watched, so far."""
        return self._families.cpu_seconds()

    def read(self) -> dict[str, Energy]:
        """Return idle and dynamic joules so far, of all devices together."""
        parts = self.by_source().values()
        return {domain: total(energies[domain] for energies in parts) for domain in (IDLE, DYNAMIC)}

    def by_source(self) -> dict[Source, dict[str, Energy]]:
        """Return idle and dynamic joules so far, by what counts them."""
        with self._lock:
            return {
                source: {IDLE: UNKNOWN, DYNAMIC: UNKNOWN} if part is None else part.read()
                for source, part in self._parts.items()
            }

    def switched(self, device: str, mode: str) -> None:
        """Take note that a device is in another power mode from now on (see `PowerModes.when_changed`)."""
        with self._lock:
            for source, part in self._parts.items():
                if device in source.devices and part is not None:
                    part.switched(mode)

    def close(self) -> None:
        """Close the meters."""
        for part in self._parts.values():
            if isinstance(part, Attributed):
                part.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the meters."""
        self.close()


def open_meter(
    devices: Sequence[Device],
    pids: Iterable[int] = (),
    *,
    root: Path = ROOT,
    idle_s: float = IDLE_S,
    meters: Mapping[str, Opener] = METERS,
) -> CompositeMeter:
    """Return the best meter for each device, for the processes of ``pids`` and their children.

    Where the hardware tells joules, its idle power is measured first, for ``idle_s``: start nothing before.
    """
    families = Families()
    for pid in pids:
        families.watch(pid)
    left = {device.name: device for device in devices}
    parts: dict[Source, Attributed | UtilisationMeter | None] = {}
    refused: list[str] = []
    for opener in meters.values():
        for meter in _opened(opener, devices, root, refused):
            if not meter.covers <= left.keys():
                meter.close()  # a better one has some of it already
                continue
            covered = [left.pop(name) for name in sorted(meter.covers)]
            parts |= _attributed(meter, covered, families, root, idle_s)
    why = "; ".join(refused) or "no meter of the hardware covers it"
    for name, device in left.items():
        mode = device.type.power_modes[0].name
        if device.type.kind == "cpu" and device.idle_power_w(mode) is not None:
            source = Source(devices=(name,), meter=UtilisationMeter.name, note=f"modelled from CPU time, as {why}")
            parts[source] = UtilisationMeter(device, mode=mode, families=families)
        else:
            parts[Source(devices=(name,), meter="", note=why)] = None
    return CompositeMeter(parts, families)


def _opened(opener: Opener, devices: Sequence[Device], root: Path, refused: list[str]) -> Iterator[HardwareMeter]:
    for make in opener(devices, root):
        try:
            yield make()
        except HardwareError as error:
            refused.append(str(error))


def _attributed(
    meter: HardwareMeter, covered: Sequence[Device], families: Families, root: Path, idle_s: float
) -> dict[Source, Attributed]:
    idle = measure_idle(meter, idle_s, root) if idle_s else IdlePower()
    cpus = [device for device in covered if device.type.kind == "cpu"]
    alone = len(cpus) == len(covered)
    part = Attributed(
        meter,
        idle,
        # Of a board whose CPU and GPU are counted together, idle is whole, and so is what is dynamic.
        idle_share=min(1.0, sum(cpu.slots for cpu in cpus) / cores_of_machine(root)) if alone else 1.0,
        cpu_seconds=(families.cpu_seconds, lambda: machine_cpu_seconds(root)) if alone else None,
    )
    return {Source(devices=tuple(device.name for device in covered), meter=meter.name, note=idle.note): part}
