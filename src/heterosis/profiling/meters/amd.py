"""AMD GPUs: the counter of joules of AMD SMI where its Python package is there, else the power in the driver's files.

AMD SMI: ``amdsmi_get_energy_count`` of the package that comes with ROCm. Files: Documentation/gpu/amdgpu/thermal.rst in
Linux, ``power1_average`` or ``power1_input`` in microwatts, of the whole card or, on an APU, of the chip.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from heterosis.devices.amd import PREFIX, cards, open_amdsmi
from heterosis.devices.sysfs import ROOT, inside
from heterosis.profiling.meters.integrator import PERIOD_S, Integrator
from heterosis.profiling.meters.register import Register
from heterosis.terms import Device, Energy
from heterosis.terms.errors import HardwareError


class AmdSmiMeter:
    """One card, by AMD SMI's counter."""

    name = "AMD SMI counter"
    resolution_s = 0.001

    def __init__(self, device: str, amdsmi: Any = None) -> None:
        """Start counting. Raise HardwareError where there is no package, no such card, or no counter."""
        self.covers = frozenset({device})
        self._smi = open_amdsmi(amdsmi)
        handles = self._smi.amdsmi_get_processor_handles()
        index = int(device.removeprefix(PREFIX))
        if index >= len(handles):
            raise HardwareError(f"AMD SMI knows {len(handles)} GPUs, and no {device}")
        self._handle = handles[index]
        self._register = Register(self._joules)

    def read(self) -> dict[str, Energy]:
        """Return the joules of the card."""
        return {"card": self._register.energy()}

    def close(self) -> None:
        """Nothing is held."""

    def _joules(self) -> float:
        try:
            count = self._smi.amdsmi_get_energy_count(self._handle)
        except self._smi.AmdSmiException as error:
            raise HardwareError(str(error)) from None
        ticks = count.get("energy_accumulator", count.get("power"))  # its older name
        if ticks is None:
            raise HardwareError("AMD SMI gives no energy of this GPU")
        return float(ticks) * float(count["counter_resolution"]) / 1e6


class AmdHwmonMeter:
    """One card, by samples of the power in its driver's files."""

    name = "amdgpu power"
    resolution_s = PERIOD_S

    def __init__(self, device: str, root: Path = ROOT, period_s: float = PERIOD_S) -> None:
        """Start counting. Raise HardwareError where the driver tells no power."""
        self.covers = frozenset({device})
        found = cards(root).get(device)
        if found is None:
            raise HardwareError(f"there is no {device} under /sys/class/drm")
        files = [file for name in ("power1_average", "power1_input") for file in inside(found, f"hwmon/hwmon*/{name}")]
        if not files:
            raise HardwareError(f"the driver of {device} tells no power")
        try:
            self._integrator = Integrator({"card": _watts(files[0])}, period_s=period_s)
        except (OSError, ValueError) as error:
            raise HardwareError(f"the power of {device} cannot be read: {error}") from None

    def read(self) -> dict[str, Energy]:
        """Return the joules of the card."""
        return self._integrator.read()

    def close(self) -> None:
        """Stop sampling."""
        self._integrator.close()


def meters(devices: Sequence[Device], root: Path = ROOT) -> Iterator[Callable[[], AmdSmiMeter | AmdHwmonMeter]]:
    """Return a meter for each AMD GPU among the devices."""
    for device in devices:
        if device.name.startswith(PREFIX):
            yield partial(_open, device.name, root)


def _open(device: str, root: Path) -> AmdSmiMeter | AmdHwmonMeter:
    if root == ROOT:
        with contextlib.suppress(HardwareError):
            return AmdSmiMeter(device)
    return AmdHwmonMeter(device, root)


def _watts(file: Path) -> Callable[[], float]:
    return lambda: int(file.read_text(encoding="ascii")) / 1e6
