"""The joules of what is measured, by the best meter that the device has."""

from types import TracebackType
from typing import Self

import msgspec

from heterosis.profiling.meters import DYNAMIC, CompositeMeter, EnergyLog, UtilisationMeter, open_meter
from heterosis.profiling.sampling import Measurement
from heterosis.terms import UNKNOWN, Device, Energy, Quality


class Joules:
    """Counts joules in windows of measuring; a context manager that closes the meter, opened with the first process.

    Where no hardware counts, CPU time is multiplied by the device's power, as `UtilisationMeter` does.
    """

    def __init__(self, device: Device) -> None:
        """Open nothing yet."""
        self._device = device
        self._meter: CompositeMeter | None = None
        self._log: EnergyLog | None = None

    def open(self) -> None:
        """Open the meter, before the first process starts: its idle power is measured then."""
        if self._meter is None:
            self._meter = open_meter([self._device])
            if any(source.meter not in ("", UtilisationMeter.name) for source in self._meter.sources):
                self._log = EnergyLog(self._meter, resolution_s=self._meter.resolution_s)

    def watch(self, pid: int) -> None:
        """Count a process from now on."""
        if self._meter is not None:
            self._meter.watch(pid)

    def counted(self, measured: Measurement) -> Measurement:
        """Add the joules that hardware counted while it was sampled, where it did, to what was measured just now."""
        if self._log is None:
            return measured
        window = self._log.window(*measured.window)
        energy = window.energy.get(DYNAMIC, UNKNOWN) * (1 / measured.samples)
        return msgspec.structs.replace(measured, dynamic_energy=energy)

    def modelled(self, cpu_ms: float, mode: str) -> Energy:
        """Energy above idle of so much CPU time; unknown where the device's power in that mode is."""
        known = [each.name for each in self._device.type.power_modes]
        power_w = self._device.dynamic_power_w(mode) if mode in known else None
        return UNKNOWN if power_w is None else Energy(cpu_ms / 1e3 * power_w, Quality.MODELLED)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the meter."""
        if self._log is not None:
            self._log.close()
        if self._meter is not None:
            self._meter.close()
