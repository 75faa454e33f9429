"""Intel's and AMD's own counters of CPU packages and memory (RAPL), through Linux' powercap files.

A package's counter includes its cores and, if any, its graphics: these subzones are left out. Memory (dram) is apart
from it. psys, the whole platform, is counted only where there are no packages; the zones of ``intel-rapl-mmio`` are the
packages again. Documentation/power/powercap/powercap.rst in Linux; Intel SDM volume 3B, section 16.10. How far the
counters can be trusted: Khan et al., "RAPL in action" (TOMPECS 2018). Part of a machine that they leave out: fans,
disks, power supply.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from heterosis.devices.sysfs import ROOT, inside, number, text
from heterosis.profiling.meters.register import Register
from heterosis.terms import Device, Energy
from heterosis.terms.errors import HardwareError

ZONES = "sys/class/powercap"

RESOLUTION_S = 0.001

SAME_UJ = 1_000_000
"""Two readings of one counter lie closer together than this."""


class RaplMeter:
    """The packages of a machine, and their memory."""

    name = "RAPL (powercap)"
    resolution_s = RESOLUTION_S

    def __init__(self, device: str, root: Path = ROOT) -> None:
        """Start counting for the CPU of this name. Raise HardwareError where the counters are not there or not ours."""
        self.covers = frozenset({device})
        self._registers = {}
        for name, zone in _zones(root):
            wraps_at_uj = number(zone / "max_energy_range_uj")
            try:
                self._registers[name] = Register(
                    partial(_joules, zone / "energy_uj"), wraps_at_j=wraps_at_uj / 1e6 if wraps_at_uj else None
                )
            except PermissionError:
                raise HardwareError(
                    f"{zone / 'energy_uj'} may be read by root only: run as root, or `sudo chmod a+r "
                    f"/{ZONES}/intel-rapl:*/energy_uj /{ZONES}/intel-rapl:*/intel-rapl:*/energy_uj` (until the next "
                    "boot; it lets any program see power, which gives secrets away to attacks like PLATYPUS)"
                ) from None
            except (OSError, ValueError) as error:
                raise HardwareError(f"{zone / 'energy_uj'} cannot be read: {error}") from None
        if not self._registers:
            raise HardwareError(f"no RAPL counters under /{ZONES}: virtual machines usually have none")

    def read(self) -> dict[str, Energy]:
        """Return the joules of each package and of its memory."""
        return {name: register.energy() for name, register in self._registers.items()}

    def close(self) -> None:
        """Nothing is held."""


def meters(devices: Sequence[Device], root: Path = ROOT) -> Iterator[partial[RaplMeter]]:
    """Return the meter of the CPU among the devices."""
    for device in devices:
        if device.type.kind == "cpu":
            yield partial(RaplMeter, device.name, root)


def _zones(root: Path) -> list[tuple[str, Path]]:
    """The zones to count, by names that are used once."""
    tops = [(text(zone / "name"), zone) for zone in inside(root / ZONES, "intel-rapl:*") if zone.name.count(":") == 1]
    packages = _distinct([(name, zone) for name, zone in tops if name.startswith("package")])
    if not packages:
        return [(name, zone) for name, zone in tops if name == "psys"]
    found = list(packages)
    for package, zone in tops:
        # A subzone lies in its package, and again beside it as a link; it is taken from the package alone.
        if package.startswith("package"):
            subzones = inside(zone, f"{zone.name}:*")
            found += [(f"{package} dram", sub) for sub in subzones if text(sub / "name") == "dram"]
    return found


def _distinct(packages: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Leave out packages whose counter is that of another: no two of their own stand within a joule of each other.

    Processors of several dies may tell the joules of the whole socket for each die (codecarbon's issue 1274).
    """
    found: list[tuple[str, Path]] = []
    counts: list[int] = []
    for name, zone in packages:
        count = number(zone / "energy_uj")
        if not count or all(abs(count - other) > SAME_UJ for other in counts):
            found.append((name, zone))
        if count:
            counts.append(count)
    return found


def _joules(file: Path) -> float:
    return int(file.read_text(encoding="ascii")) / 1e6
