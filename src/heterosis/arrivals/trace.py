"""Recorded traces.

Besides plain timestamps and gaps, the Azure public datasets read as they are: ``TIMESTAMP`` columns (LLM inference),
``end_timestamp`` with ``duration`` in seconds (Functions 2021), and a column for each minute, named ``1``, ``2`` and so
on, that counts invocations (Functions 2019). The rows of the latter are added up, and the arrivals of a minute lie
evenly in it: where they really lay is not recorded, and minutes are too long to be taken as bursts.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.terms.errors import UsageError

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_COLUMN = re.compile(r"(?P<kind>timestamp|time|arrival|gap|interval)s?(_(?P<unit>s|ms|us|ns))?", re.IGNORECASE)
_HELP = (
    "a trace has a column (CSV) or field (JSON) named timestamp or gap, with _s, _ms, _us or _ns for its unit, or a "
    "column for each minute named 1, 2 and so on; a file of bare numbers has timestamps in seconds"
)
MINUTE_S = 60.0


def rescaled(arrivals: Sequence[float], rate_rps: float) -> list[float]:
    """Stretch a trace to another mean rate, keeping its shape."""
    if len(arrivals) < 2 or arrivals[-1] <= 0:  # noqa: PLR2004
        raise UsageError("a trace of fewer than two moments has no rate that could be changed")
    factor = (len(arrivals) - 1) / arrivals[-1] / rate_rps
    return [arrival * factor for arrival in arrivals]


def read_trace(path: Path) -> list[float]:
    """Read a CSV or JSON file of timestamps (numbers, or ISO 8601) or of gaps; the first arrival becomes 0.

    Raise UsageError, naming the entry, where the file is missing or is no trace.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the trace {path}: {error}") from None
    name, values = _json_column(path, text) if path.suffix == ".json" else _csv_column(path, text)
    found = _COLUMN.fullmatch(name)
    assert found is not None  # noqa: S101 - both readers look for such a name
    unit_s = UNITS_S[(found["unit"] or "s").lower()]
    times = [_seconds(path, number, value, unit_s) for number, value in enumerate(values, 1)]
    if not times:
        raise UsageError(f"the trace {path} is empty; {_HELP}")
    if found["kind"].lower() in ("gap", "interval"):
        if min(times) < 0:
            raise UsageError(f"the trace {path} has a negative gap: {min(times)} s")
        times = list(accumulate(times))
    first = min(times)
    return sorted(time - first for time in times)


def _csv_column(path: Path, text: str) -> tuple[str, list[Any]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(map(str.strip, row))]
    if not rows:
        raise UsageError(f"the trace {path} has no column of times; {_HELP}")
    if len(rows[0]) == 1 and _is_number(rows[0][0]):
        return "timestamp", [row[0] for row in rows]
    names = [name.lower() for name in rows[0]]
    for position, name in enumerate(names):
        if _COLUMN.fullmatch(name):
            return name, _cells(path, rows, position)
    if {"end_timestamp", "duration"} <= set(names):
        ends, durations = (_cells(path, rows, names.index(name)) for name in ("end_timestamp", "duration"))
        pairs = enumerate(zip(ends, durations, strict=True), 1)
        return "timestamp", [_seconds(path, row, end, 1) - _seconds(path, row, took, 1) for row, (end, took) in pairs]
    minutes = {int(name): position for position, name in enumerate(names) if name.isdecimal()}
    if minutes:
        counts = {minute: _cells(path, rows, position) for minute, position in sorted(minutes.items())}
        return "timestamp", [at for minute, cells in counts.items() for at in _within(path, minute, cells)]
    raise UsageError(f"the trace {path} has no column of times; {_HELP}")


def _cells(path: Path, rows: list[list[str]], position: int) -> list[str]:
    if short := [number for number, row in enumerate(rows, 1) if len(row) <= position]:
        raise UsageError(f"the trace {path}: row {short[0]} has no column {rows[0][position]!r}")
    return [row[position] for row in rows[1:]]


def _within(path: Path, minute: int, cells: list[str]) -> list[float]:
    """Spread the arrivals that the rows count in a minute."""
    try:
        count = sum(int(cell or 0) for cell in cells)
    except ValueError:
        raise UsageError(f"the trace {path}: column {minute} holds something else than counts") from None
    return [MINUTE_S * (minute - 1 + (number + 0.5) / count) for number in range(count)]


def _json_column(path: Path, text: str) -> tuple[str, list[Any]]:
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UsageError(f"the trace {path} is not JSON: {error}") from None
    if isinstance(data, list) and data and all(isinstance(entry, dict) for entry in data):
        data = {name: [entry.get(name) for entry in data] for name in data[0]}
    if isinstance(data, list):
        return "timestamp", data
    for name, values in data.items() if isinstance(data, dict) else ():
        if _COLUMN.fullmatch(name) and isinstance(values, list):
            return name, values
    raise UsageError(f"the trace {path} has no list of times; {_HELP}")


def _seconds(path: Path, number: int, value: Any, unit_s: float) -> float:
    try:
        if isinstance(value, str) and not _is_number(value):
            return datetime.fromisoformat(value).timestamp()
        seconds = float(value) * unit_s
    except (TypeError, ValueError):
        raise UsageError(f"the trace {path}: entry {number} is {value!r}, neither a number nor a date") from None
    if not np.isfinite(seconds):
        raise UsageError(f"the trace {path}: entry {number} is {value!r}, which is no time")
    return seconds


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
