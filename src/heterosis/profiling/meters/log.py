"""Joules by the clock: a meter read through a run, so that any window of it can be cut out afterwards.

The protocol is that of MLPerf Power (Tschand et al., HPCA 2025; MLCommons' power measurement rules): performance and
energy come from the same run; power is logged all the time, and the run stamps the window that counts, which begins
after warm-up; the settings are declared beside the figures. Departure: idle power is told apart, and not only counted
in.
"""

import bisect
import csv
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from heterosis.terms import UNKNOWN, Energy
from heterosis.terms.errors import UsageError

PERIOD_S = 0.1
KEPT = 36_000
"""Readings: an hour's at the usual period."""

COLUMNS = ("at_s", "domain", "joules", "quality")


class Readable(Protocol):
    """What is asked of a meter here."""

    def read(self) -> dict[str, Energy]:
        """Joules so far, by domain."""
        ...


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What a window of a run took. Power and performance figures of it belong together, and to no other."""

    began_at: str
    """By the clock on the wall, UTC."""
    seconds: float
    energy: dict[str, Energy]
    """By domain."""
    error_ratio: float
    """How much of the window may be missing or too much at its ends, by the meter's resolution."""
    warm_up_s: float = 0.0
    """Run before the window, and not counted."""
    settings: dict[str, str] = {}
    """What whoever repeats it must know: power mode, threads, batch, versions …"""

    def power(self, domain: str) -> Energy:
        """Mean watts (joules per second) of a domain."""
        return self.energy.get(domain, UNKNOWN) * (1 / self.seconds)


class EnergyLog:
    """Reads a meter regularly on a thread of its own. A context manager that stops it; the meter stays open."""

    def __init__(
        self,
        meter: Readable,
        *,
        period_s: float = PERIOD_S,
        resolution_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start now. ``resolution_s`` is the meter's; with ``period_s`` 0 only `sample` reads it."""
        self._meter = meter
        self._clock = clock
        self._resolution_s = max(period_s, resolution_s)
        self._lock = threading.Lock()
        self._readings: list[tuple[float, dict[str, Energy]]] = []
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.sample()
        if period_s:
            self._thread = threading.Thread(target=self._run, args=(period_s,), name="energy log", daemon=True)
            self._thread.start()

    def sample(self) -> None:
        """Read the meter now."""
        with self._lock:
            energies = self._meter.read()
            self._readings.append((self._clock(), energies))
            if len(self._readings) > KEPT:
                del self._readings[: KEPT // 10]

    def window(
        self, began: float, ended: float, *, warm_up_s: float = 0.0, settings: Mapping[str, str] | None = None
    ) -> Window:
        """Cut out a window, by stamps of the monotonic clock (which all processes of a machine share).

        Raise UsageError where the log does not go back that far, or the window is empty.
        """
        self.sample()
        with self._lock:
            readings = list(self._readings)
        if not readings[0][0] <= began < ended <= readings[-1][0]:
            raise UsageError(f"the log has no window from {began:.3f} s to {ended:.3f} s")
        first, last = _at(readings, began), _at(readings, ended)
        return Window(
            began_at=datetime.fromtimestamp(time.time() - (self._clock() - began), UTC).isoformat(),
            seconds=ended - began,
            energy={domain: last.get(domain, UNKNOWN) - first.get(domain, UNKNOWN) for domain in last},
            error_ratio=self._resolution_s / (ended - began),
            warm_up_s=warm_up_s,
            settings=dict(settings or {}),
        )

    def save(self, path: Path) -> None:
        """Write the readings as a trace that `ReplayMeter` reads: CSV, seconds from the first one."""
        with self._lock:
            readings = list(self._readings)
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for at, energies in readings:
                for domain, energy in energies.items():
                    joules = "" if energy.joules is None else f"{energy.joules:.6f}"
                    rows.writerow([f"{at - readings[0][0]:.6f}", domain, joules, energy.quality.value])

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading."""
        self.close()

    def _run(self, period_s: float) -> None:
        while not self._closing.wait(period_s):
            self.sample()


def interpolated(before: Energy, after: Energy, share: float) -> Energy:
    """Return what a meter told a share of the way from one reading to the next."""
    return before + (after - before) * share


def _at(readings: list[tuple[float, dict[str, Energy]]], moment: float) -> dict[str, Energy]:
    """Joules at a moment, taken as linear between two readings."""
    after = max(1, bisect.bisect_left(readings, moment, key=lambda reading: reading[0]))
    (t0, first), (t1, second) = readings[after - 1], readings[after]
    share = (moment - t0) / (t1 - t0) if t1 > t0 else 1.0
    return {domain: interpolated(first.get(domain, UNKNOWN), energy, share) for domain, energy in second.items()}
