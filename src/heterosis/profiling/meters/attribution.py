"""Whose joules they are: a hardware meter counts all of a device, for whoever used it.

Idle is what the device draws with nothing to do, whoever runs on it, and stands apart. What is above that is dynamic,
and of a CPU goes to processes by their share of the CPU time, interval by interval: as Kepler
(sustainable-computing.io) and Scaphandre do, though they share out idle power too.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from heterosis.devices.sysfs import ROOT
from heterosis.profiling.meters.meter import DYNAMIC, IDLE, HardwareMeter
from heterosis.profiling.meters.processes import machine_cpu_seconds
from heterosis.terms import DEFAULT_MODE, UNKNOWN, Energy, Quality

SHARES_PERIOD_S = 1.0
"""For so long at the most the shares of a device's processes are taken as constant."""

CALM_CORES = 0.1
"""A machine whose processes keep no more of a core busy than this is idle."""


class IdlePower(msgspec.Struct, frozen=True, kw_only=True):
    """Power with nothing running, by the meter that it will be taken off from; ``power`` is joules per second."""

    power: Energy = UNKNOWN
    note: str = ""


def total(parts: Iterable[Energy]) -> Energy:
    """Add up; nothing at all is unknown."""
    energies = list(parts)
    return sum(energies[1:], energies[0]) if energies else UNKNOWN


def measure_idle(meter: HardwareMeter, seconds: float, root: Path = ROOT) -> IdlePower:
    """Watch a device for so many seconds in which nothing of ours runs on it.

    Where other processes keep the machine busy meanwhile, what it draws is above its idle power: the figure is then
    only modelled, and says so.
    """
    before, busy, began = total(meter.read().values()), machine_cpu_seconds(root), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    power = (total(meter.read().values()) - before) * (1 / passed)
    cores = (machine_cpu_seconds(root) - busy) / passed
    if power.joules is None or cores <= CALM_CORES:
        return IdlePower(power=power, note=f"idle power measured for {passed:.1f} s")
    return IdlePower(
        power=Energy(power.joules, Quality.MODELLED),
        note=f"idle power taken while other processes kept {cores:.1f} cores busy: it is too high, and dynamic too low",
    )


class Attributed:
    """A hardware meter, split into idle and dynamic joules."""

    period_s = SHARES_PERIOD_S

    def __init__(
        self,
        meter: HardwareMeter,
        idle: IdlePower,
        *,
        idle_share: float = 1.0,
        cpu_seconds: tuple[Callable[[], float], Callable[[], float]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start now. ``idle_share`` of the idle power is charged: that of the cores that the device lends, for example.

        ``cpu_seconds`` tell those of ours and of all processes; without them all that is dynamic is ours.
        """
        self.meter = meter
        self._measured = self._idle = idle.power
        self._idle_share = idle_share
        self._cpu_seconds = cpu_seconds
        self._clock = clock
        self._last = (clock(), total(meter.read().values()), *self._seconds())
        self._idle_energy = self._dynamic = self._most = Energy(0.0, Quality.COUNTER)

    def read(self) -> dict[str, Energy]:
        """Return idle and dynamic joules so far. Neither ever falls: noise around idle power is not taken back."""
        now = (self._clock(), total(self.meter.read().values()), *self._seconds())
        passed, spent, ours, everyones = now[0] - self._last[0], now[1] - self._last[1], *self._since(now)
        self._last = now
        idle = self._idle * passed
        share = 1.0 if self._cpu_seconds is None else min(1.0, ours / everyones) if everyones > 0 else 0.0
        # The meter going away makes both unknown: what it would have told of idle time is not known either.
        self._idle_energy += (idle + spent * 0.0) * self._idle_share
        self._dynamic += (spent - idle) * share
        if self._dynamic.joules is None or self._most.joules is None or self._dynamic.joules > self._most.joules:
            self._most = self._dynamic
        else:
            self._most = Energy(self._most.joules, self._dynamic.quality)
        return {IDLE: self._idle_energy, DYNAMIC: self._most}

    def switched(self, mode: str) -> None:
        """Go on in another power mode: what was measured as idle is then no more than a model of it."""
        self.read()
        joules = self._measured.joules
        same = mode == DEFAULT_MODE or joules is None
        self._idle = self._measured if same else Energy(joules, Quality.MODELLED)

    def close(self) -> None:
        """Close the meter."""
        self.meter.close()

    def _seconds(self) -> tuple[float, float]:
        return (0.0, 0.0) if self._cpu_seconds is None else (self._cpu_seconds[0](), self._cpu_seconds[1]())

    def _since(self, now: tuple[float, Energy, float, float]) -> tuple[float, float]:
        return now[2] - self._last[2], now[3] - self._last[3]
