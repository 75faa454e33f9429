"""Published figures as a profile: a table with a row for each operating point, its columns named by whoever reads it.

A table seldom has all figures. Of a latency, a mean or a median is enough; what is missing is taken from what is there:
the mean for the median, the next lower percentile for a higher one, or the mean plus 1.645 and 2.326 standard
deviations (a normal distribution) where those are given.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from heterosis.terms import (
    DEFAULT_MODE,
    UNKNOWN,
    Configuration,
    Energy,
    Latency,
    OperatingPoint,
    Profile,
    Provenance,
    Quality,
)
from heterosis.terms.errors import UsageError

TEXTS = ("stage", "variant", "device_type", "power_mode")
FIGURES = (
    "threads",
    "batch",
    "mean_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "std_ms",
    "cpu_ms",
    "joules",
    "load_ms",
    "memory_mb",
)
COLUMNS = (*TEXTS, *FIGURES)
"""What a row can say; ``joules`` are a batch's, above idle."""
NEEDED = ("stage", "variant", "device_type")
P95_NORMAL, P99_NORMAL = 1.645, 2.326


def read_table(
    path: Path,
    pipeline: str,
    *,
    columns: Mapping[str, str],
    constants: Mapping[str, str],
    source: str,
    quality: Quality,
) -> Profile:
    """Read a CSV file, or a JSON array of objects.

    ``columns`` says what our columns are called in the table, where they are not called the same; ``constants`` are
    figures that all rows share. ``quality`` is that of its joules. Raise UsageError, with the row, for what is missing
    or no number.
    """
    for name in (*columns, *constants):
        if name not in COLUMNS:
            raise UsageError(f"there is no column {name!r} in a profile; there are: {', '.join(COLUMNS)}")
    points = []
    for number, row in enumerate(_rows(path), 1):
        known = {name: row.get(columns.get(name, name)) for name in COLUMNS}
        missing = [theirs for ours, theirs in columns.items() if theirs not in row]
        if missing:
            raise UsageError(f"{path}, row {number}: no column {missing[0]!r}; it has: {', '.join(map(str, row))}")
        values = {name: value for name, value in known.items() if value not in (None, "")} | dict(constants)
        try:
            points.append(_point(values, quality))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}, row {number}: {error}") from None
    if not points:
        raise UsageError(f"{path} has no rows")
    return Profile(
        pipeline=pipeline,
        machine=f"published: {source}",
        measured_at=datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        versions={},
        points=tuple(points),
        origins=(
            Provenance(
                machine="published",
                measured_at=datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
                device_types=tuple(dict.fromkeys(point.configuration.device_type for point in points)),
                source=source,
            ),
        ),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the table {path}: {error}") from None
    if path.suffix == ".json":
        try:
            yield from msgspec.json.decode(text, type=list[dict[str, Any]])
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path} is no JSON array of objects: {error}") from None
    else:
        yield from csv.DictReader(io.StringIO(text))


def _point(values: Mapping[str, Any], quality: Quality) -> OperatingPoint:
    for name in NEEDED:
        if name not in values:
            raise ValueError(f"it says no {name}: name the column that does, or give one for all rows")
    figures = {name: _number(name, values[name]) for name in FIGURES if name in values}
    batch, threads = figures.get("batch", 1.0), figures.get("threads", 1.0)
    if batch != int(batch) or batch < 1 or threads != int(threads) or threads < 0:
        raise ValueError(f"batch {batch:g} and threads {threads:g} must be whole numbers, a batch of one at least")
    latency = _latency(figures)
    return OperatingPoint(
        configuration=Configuration(
            stage=str(values["stage"]),
            variant=str(values["variant"]),
            device_type=str(values["device_type"]),
            power_mode=str(values.get("power_mode", DEFAULT_MODE)),
            threads=int(threads),
        ),
        batch=int(batch),
        latency=latency,
        cpu_ms=figures.get("cpu_ms", latency.mean_ms * max(threads, 1.0)),
        dynamic_energy=Energy(figures["joules"], quality) if "joules" in figures else UNKNOWN,
        load_ms=figures.get("load_ms", 0.0),
        memory_bytes=round(figures.get("memory_mb", 0.0) * 1e6),
    )


def _latency(figures: Mapping[str, float]) -> Latency:
    middle = figures.get("mean_ms", figures.get("p50_ms"))
    if middle is None or middle <= 0:
        raise ValueError("it says no latency above zero: name the column of mean_ms or p50_ms")
    p50_ms, spread_ms = figures.get("p50_ms", middle), figures.get("std_ms", 0.0)
    p95_ms = max(p50_ms, figures.get("p95_ms", middle + P95_NORMAL * spread_ms))
    p99_ms = max(p95_ms, figures.get("p99_ms", middle + P99_NORMAL * spread_ms))
    return Latency(mean_ms=middle, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}, which is no number") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} is {value!r}, which no measurement is")
    return number
