"""Models the energy of a CPU from the time that processes spend on it.

``energy = idle power x elapsed time + power per busy core x CPU seconds``: the linear model of Fan, Weber and Barroso,
"Power provisioning for a warehouse-sized computer" (ISCA 2007), section 4.2. Its power figures are the catalogue's, so
its joules are modelled, never measured.
"""

import time
from collections.abc import Callable, Iterable

import psutil

from heterosis.profiling.meters.meter import DYNAMIC, IDLE
from heterosis.terms import UNKNOWN, Device, Energy, Quality

DEFAULT_MODE = "default"


class UtilisationMeter:
    """Counts the CPU seconds of the processes watched, and of their children, and what they cost on a device.

    A process that has ended keeps the seconds of its last reading: what it used between that and its end is not seen,
    so read at least as often as processes end. ``clock`` returns seconds.
    """

    def __init__(
        self,
        device: Device,
        pids: Iterable[int] = (),
        mode: str = DEFAULT_MODE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start counting now."""
        self._idle_power_w = device.idle_power_w(mode)
        self._dynamic_power_w = device.dynamic_power_w(mode)
        self._clock = clock
        self._started = clock()
        self._roots: set[psutil.Process] = set()
        self._before: dict[psutil.Process, float] = {}
        self._seconds: dict[psutil.Process, float] = {}
        for pid in pids:
            self.watch(pid)

    def watch(self, pid: int) -> None:
        """Count a process and its children from now on; one that has ended already has nothing to count."""
        try:
            root = psutil.Process(pid)
        except psutil.NoSuchProcess:
            return
        if root in self._roots:
            return
        self._roots.add(root)
        for process in _family(root):
            if process not in self._seconds:
                self._before[process] = _cpu_seconds(process) or 0.0
                self._seconds[process] = 0.0

    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far, over all processes and cores."""
        alive = self._seconds.keys() | {process for root in self._roots for process in _family(root)}
        for process in alive:
            spent = _cpu_seconds(process)
            if spent is not None:
                self._seconds[process] = spent - self._before.get(process, 0.0)
        return sum(self._seconds.values())

    def read(self) -> dict[str, Energy]:
        """Return idle and dynamic joules so far; unknown where the device's power is."""
        elapsed = self._clock() - self._started
        return {IDLE: _energy(self._idle_power_w, elapsed), DYNAMIC: _energy(self._dynamic_power_w, self.cpu_seconds())}


def _energy(power_w: float | None, seconds: float) -> Energy:
    return UNKNOWN if power_w is None else Energy(power_w * seconds, Quality.MODELLED)


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return [root]


def _cpu_seconds(process: psutil.Process) -> float | None:
    """CPU seconds of the process itself (its children are counted on their own); None once it is gone."""
    try:
        if not process.is_running():  # its number may have gone to another process
            return None
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)
