"""The clock of a CPU (cpufreq): a governor, or a highest frequency.

Modes are the governors by their names, with all frequencies open to them, and frequencies like ``1800MHz``, at which
the governor in force is capped. Documentation/admin-guide/pm/cpufreq.rst in Linux.
"""

from pathlib import Path

from heterosis.devices.modes.actuator import State, amount, write
from heterosis.devices.sysfs import ROOT, inside, number, text
from heterosis.terms.errors import HardwareError

UNIT = "MHz"
SETTINGS = ("scaling_governor", "scaling_max_freq")


class Cpufreq:
    """All cores of the CPU together."""

    def __init__(self, root: Path = ROOT) -> None:
        """Raise HardwareError where nothing here sets the clock."""
        self._root = root
        self._policies = policies(root)
        if not self._policies:
            raise HardwareError("the clock of the CPU is not ours to set: no cpufreq, as in most virtual machines")
        first = self._policies[0]
        self._governors = text(first / "scaling_available_governors").split()
        self._frequencies = sorted(int(khz) for khz in text(first / "scaling_available_frequencies").split())
        self._lowest, self._highest = (number(first / f"cpuinfo_{end}_freq") or 0 for end in ("min", "max"))

    @property
    def modes(self) -> tuple[str, ...]:
        """The governors, and the frequencies (the lowest and the highest where any between will do)."""
        frequencies = self._frequencies or [self._lowest, self._highest]
        return (*self._governors, *(f"{khz / 1000:g}{UNIT}" for khz in frequencies))

    def takes(self, mode: str) -> bool:
        """Whether a mode is a governor, or a frequency that the CPU can have."""
        mhz = amount(mode, UNIT)
        return mode in self._governors or (mhz is not None and self._lowest <= mhz * 1000 <= self._highest)

    def read(self) -> State:
        """Return governor and highest frequency of each cluster of cores."""
        return {
            str(file.relative_to(self._root)): text(file)
            for policy in self._policies
            for file in (policy / name for name in SETTINGS)
        }

    def set(self, mode: str) -> None:
        """Set all clusters."""
        mhz = amount(mode, UNIT)
        for policy in self._policies:
            if mhz is None:
                write(policy / "scaling_governor", mode)
            own = [number(policy / f"cpuinfo_{end}_freq") or 0 for end in ("min", "max")]
            khz = own[1] if mhz is None else min(max(round(mhz * 1000), own[0]), own[1])
            if khz < (number(policy / "scaling_min_freq") or 0):
                write(policy / "scaling_min_freq", str(own[0]))
            write(policy / "scaling_max_freq", str(khz))

    def restore(self, state: State) -> None:
        """Write back what was there."""
        for name, value in state.items():
            write(self._root / name, value)


def policies(root: Path = ROOT) -> list[Path]:
    """Return the folders of the clusters of cores that share a clock; none where it is not ours to set."""
    return list(inside(root / "sys/devices/system/cpu/cpufreq", "policy*"))
