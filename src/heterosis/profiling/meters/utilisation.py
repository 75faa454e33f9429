"""Models the energy of a CPU from the time that processes spend on it.

``energy = idle power x elapsed time + power per busy core x CPU seconds``: the linear model of Fan, Weber and Barroso,
"Power provisioning for a warehouse-sized computer" (ISCA 2007), section 4.2. Its power figures are the catalogue's, so
its joules are modelled, never measured.
"""

import time
from collections.abc import Callable, Iterable

from heterosis.profiling.meters.meter import DYNAMIC, IDLE
from heterosis.profiling.meters.processes import Families
from heterosis.terms import DEFAULT_MODE, UNKNOWN, Device, Energy, Quality


class UtilisationMeter:
    """Counts the CPU seconds of the processes watched, and of their children, and what they cost on a device.

    ``clock`` returns seconds.
    """

    name = "utilisation"

    def __init__(
        self,
        device: Device,
        pids: Iterable[int] = (),
        mode: str = DEFAULT_MODE,
        clock: Callable[[], float] = time.monotonic,
        families: Families | None = None,
    ) -> None:
        """Start counting now; ``families`` may be shared with other meters."""
        self._idle_power_w = device.idle_power_w(mode)
        self._dynamic_power_w = device.dynamic_power_w(mode)
        self._clock = clock
        self._started = clock()
        self._families = families or Families()
        for pid in pids:
            self.watch(pid)

    def watch(self, pid: int) -> None:
        """Count a process and its children from now on; one that has ended already has nothing to count."""
        self._families.watch(pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far, over all processes and cores."""
        return self._families.cpu_seconds()

    def read(self) -> dict[str, Energy]:
        """Return idle and dynamic joules so far; unknown where the device's power is."""
        elapsed = self._clock() - self._started
        return {IDLE: _energy(self._idle_power_w, elapsed), DYNAMIC: _energy(self._dynamic_power_w, self.cpu_seconds())}


def _energy(power_w: float | None, seconds: float) -> Energy:
    return UNKNOWN if power_w is None else Energy(power_w * seconds, Quality.MODELLED)
