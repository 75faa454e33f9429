"""Plays back what a meter told: a trace as `EnergyLog.save` writes it, or from anywhere else.

A trace is a CSV file with the columns ``at_s`` (seconds), ``domain``, ``joules`` (so far) and ``quality``; nothing in
``joules`` is unknown. Before its end it is linear between readings; after its end it is unknown, and never a guess.
"""

import bisect
import csv
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from heterosis.profiling.meters.log import COLUMNS, interpolated
from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import UsageError


class ReplayMeter:
    """A recorded trace, from its beginning at the moment when the meter is made."""

    name = "replay"

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the trace. Raise UsageError where it is none, with the line."""
        self._clock = clock
        self._started = clock()
        self._readings: dict[str, list[tuple[float, Energy]]] = defaultdict(list)
        try:
            with path.open(newline="", encoding="utf-8") as file:
                self._load(path, csv.DictReader(file))
        except OSError as error:
            raise UsageError(f"cannot read the trace {path}: {error.strerror or error}") from None

    def watch(self, pid: int) -> None:
        """Nothing to watch: all is recorded."""

    def read(self) -> dict[str, Energy]:
        """Return the joules from the start of the trace until as much of it as time has passed."""
        now = self._clock() - self._started
        return {domain: _at(readings, now) for domain, readings in self._readings.items()}

    def _load(self, path: Path, rows: "csv.DictReader[str]") -> None:
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise UsageError(f"{path} is no energy trace: its first line must be {','.join(COLUMNS)}")
        for row in rows:
            try:
                joules, quality = row["joules"], Quality(row["quality"])
                energy = Energy(float(joules) if joules else None, quality)
                readings = self._readings[row["domain"]]
                at_s = float(row["at_s"])
            except (ValueError, TypeError) as error:
                raise UsageError(f"{path}, line {rows.line_num}: {error}") from None
            if readings and at_s < readings[-1][0]:
                raise UsageError(f"{path}, line {rows.line_num}: time goes backwards")
            readings.append((at_s, energy))


def _at(readings: list[tuple[float, Energy]], now: float) -> Energy:
    start = readings[0][0]
    after = bisect.bisect_left(readings, start + now, key=lambda reading: reading[0])
    if after == len(readings):
        return UNKNOWN
    if after == 0:
        return readings[0][1] - readings[0][1]
    (t0, first), (t1, second) = readings[after - 1], readings[after]
    return interpolated(first, second, (start + now - t0) / (t1 - t0)) - readings[0][1]
