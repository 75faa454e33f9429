"""An NVIDIA card: a limit of its power, like ``150W``, or of its clock, like ``1200MHz``. Setting either needs root."""

from pathlib import Path
from typing import Any

from heterosis.devices.modes.actuator import State, amount
from heterosis.devices.nvml import open_nvml
from heterosis.terms.errors import HardwareError

WATTS, MHZ = "W", "MHz"

POWER, CLOCK = "power limit in mW", "clock"
"""Whether a clock is locked cannot be read; before ours it is taken not to be."""


class NvidiaCard:
    """One card, by its number in the library."""

    def __init__(self, index: int, nvml: Any = None) -> None:
        """``nvml`` stands in for the library's module. Raise HardwareError where the card does not answer."""
        self._nvml = open_nvml(nvml)
        self._name = f"nvidia-{index}"
        try:
            self._handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            self._limits_mw = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)
            self._clocks_mhz = (0, self._nvml.nvmlDeviceGetMaxClockInfo(self._handle, self._nvml.NVML_CLOCK_SM))
        except self._nvml.NVMLError as error:
            raise HardwareError(f"the power of {self._name} cannot be set: {error}") from None

    @property
    def modes(self) -> tuple[str, ...]:
        """The least and the most power, and the highest clock."""
        return (*(f"{mw / 1e3:g}{WATTS}" for mw in self._limits_mw), f"{self._clocks_mhz[1]}{MHZ}")

    def takes(self, mode: str) -> bool:
        """Whether a mode lies in the range of the card."""
        mhz, watts = amount(mode, MHZ), amount(mode, WATTS)
        if mhz is not None:
            return bool(0 < mhz <= self._clocks_mhz[1])
        return watts is not None and bool(self._limits_mw[0] <= watts * 1e3 <= self._limits_mw[1])

    def read(self) -> State:
        """Return the power limit."""
        return {POWER: str(self._call("GetPowerManagementLimit")), CLOCK: ""}

    def set(self, mode: str) -> None:
        """Set the limit of a mode, and lift the other."""
        mhz, watts = amount(mode, MHZ), amount(mode, WATTS)
        if mhz is not None:
            self._limit(self._call("GetPowerManagementDefaultLimit"))
            self._call("SetGpuLockedClocks", self._clocks_mhz[0], round(mhz))
        else:
            self._call("ResetGpuLockedClocks")
            self._limit(round((watts or 0.0) * 1e3))

    def restore(self, state: State) -> None:
        """Unlock the clock, and bring back the power limit."""
        self._call("ResetGpuLockedClocks")
        self._limit(int(state[POWER]))

    def _limit(self, milliwatts: int) -> None:
        self._call("SetPowerManagementLimit", milliwatts)
        found = self._call("GetPowerManagementLimit")
        if found != milliwatts:
            raise HardwareError(f"{self._name} was limited to {milliwatts} mW and says {found}")

    def _call(self, name: str, *arguments: int) -> int:
        try:
            return int(getattr(self._nvml, f"nvmlDevice{name}")(self._handle, *arguments) or 0)
        except self._nvml.NVMLError as error:
            why = "; run as root" if error.value == self._nvml.NVML_ERROR_NO_PERMISSION else ""
            raise HardwareError(f"{self._name}: {error}{why}") from None


def open_card(device: str, root: Path, nvml: Any = None) -> NvidiaCard:
    """Return what sets a card, by the name of its device."""
    del root
    return NvidiaCard(int(device.removeprefix("nvidia-")), nvml)
