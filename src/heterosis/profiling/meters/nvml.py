"""NVIDIA GPUs: the driver's counter of joules (Volta and later), else samples of its power.

The figures are of the whole card, memory included. The driver updates its power every 20 to 100 ms, so short windows
say little: Yang, Adamek and Armour, "Part-time power measurements: nvidia-smi's lack of attention" (SC'24).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from heterosis.devices.nvidia import PREFIX
from heterosis.devices.nvml import open_nvml
from heterosis.devices.sysfs import ROOT
from heterosis.profiling.meters.integrator import PERIOD_S, Integrator
from heterosis.profiling.meters.register import Register
from heterosis.terms import Device, Energy
from heterosis.terms.errors import HardwareError


class NvmlMeter:
    """One card."""

    resolution_s = PERIOD_S

    def __init__(self, device: str, nvml: Any = None, period_s: float = PERIOD_S) -> None:
        """Start counting for the GPU of this name. Raise HardwareError where it tells neither joules nor watts."""
        self.covers = frozenset({device})
        self._nvml = nvml = open_nvml(nvml)
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(int(device.removeprefix(PREFIX)))
        except nvml.NVMLError as error:
            raise HardwareError(f"{device} does not answer: {error}") from None
        self._integrator: Integrator | None = None
        try:
            register = Register(self._told(nvml.nvmlDeviceGetTotalEnergyConsumption, handle))
            self._read: Callable[[], dict[str, Energy]] = lambda: {"card": register.energy()}
            self.name = "NVML counter"
        except HardwareError:
            power = self._told(nvml.nvmlDeviceGetPowerUsage, handle)
            self._integrator = Integrator({"card": power}, period_s=period_s)
            self._read = self._integrator.read
            self.name = "NVML power"

    def read(self) -> dict[str, Energy]:
        """Return the joules of the card."""
        return self._read()

    def close(self) -> None:
        """Stop sampling, where it does; the library stays open for others."""
        if self._integrator is not None:
            self._integrator.close()

    def _told(self, function: Callable[[Any], int], handle: Any) -> Callable[[], float]:
        """Make a function that reads milliwatts or millijoules into one of watts or joules."""

        def read() -> float:
            try:
                return function(handle) / 1e3
            except self._nvml.NVMLError as error:
                raise HardwareError(str(error)) from None

        return read


def meters(devices: Sequence[Device], root: Path = ROOT, nvml: Any = None) -> Iterator[partial[NvmlMeter]]:
    """Return a meter for each NVIDIA GPU among the devices."""
    del root
    for device in devices:
        if device.name.startswith(PREFIX):
            yield partial(NvmlMeter, device.name, nvml)
