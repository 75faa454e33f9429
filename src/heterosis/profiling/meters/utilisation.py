"""Models the energy of a CPU from the time that processes spend on it.

``energy = idle power x elapsed time + power per busy core x CPU seconds``: the linear model of Fan, Weber and Barroso,
"Power provisioning for a warehouse-sized computer" (ISCA 2007), section 4.2. Its power figures are the catalogue's, so
its joules are modelled, never measured.
"""

import time
from collections.abc import Callable, Iterable

from heterosis.profiling.meters.meter import DYNAMIC, IDLE
from heterosis.profiling.meters.processes import FAMILY_PERIOD_S, Families
from heterosis.terms import DEFAULT_MODE, UNKNOWN, Device, Energy, Quality


class UtilisationMeter:
    """Counts the CPU seconds of the processes watched, and of their children, and what they cost on a device.

    ``clock`` returns seconds.
    """

    name = "utilisation"
    period_s = FAMILY_PERIOD_S

    def __init__(
        self,
        device: Device,
        pids: Iterable[int] = (),
        mode: str = DEFAULT_MODE,
        clock: Callable[[], float] = time.monotonic,
        families: Families | None = None,
    ) -> None:
        """Start counting now; ``families`` may be shared with other meters."""
        self._device = device
        self._power_w = (device.idle_power_w(mode), device.dynamic_power_w(mode))
        self._clock = clock
        self._families = families or Families()
        for pid in pids:
            self.watch(pid)
        self._since = (clock(), self.cpu_seconds())
        self._before = (_NOTHING, _NOTHING)
        """Idle and dynamic joules of the modes that the device was in before this one."""

    def watch(self, pid: int) -> None:
        """Count a process and its children from now on; one that has ended already has nothing to count."""
        self._families.watch(pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far, over all processes and cores."""
        return self._families.cpu_seconds()

    def switched(self, mode: str) -> None:
        """Go on in another power mode. Of one whose power is unknown, the joules are, from now on."""
        self._before, self._since = self._read()
        known = any(each.name == mode for each in self._device.type.power_modes)
        self._power_w = (self._device.idle_power_w(mode), self._device.dynamic_power_w(mode)) if known else (None, None)

    def read(self) -> dict[str, Energy]:
        """Return idle and dynamic joules so far; unknown where the device's power is."""
        (idle, dynamic), _ = self._read()
        return {IDLE: idle, DYNAMIC: dynamic}

    def _read(self) -> tuple[tuple[Energy, Energy], tuple[float, float]]:
        now = (self._clock(), self.cpu_seconds())
        idle, dynamic = (
            before + _energy(power_w, amount - since)
            for before, power_w, amount, since in zip(self._before, self._power_w, now, self._since, strict=True)
        )
        return (idle, dynamic), now


_NOTHING = Energy(0.0, Quality.MODELLED)


def _energy(power_w: float | None, seconds: float) -> Energy:
    return UNKNOWN if power_w is None else Energy(power_w * seconds, Quality.MODELLED)
