"""What was measured, kept in the store, so that nothing is measured twice.

A record is named after all that its figures depend on: the variant, the threads, the machine, the libraries, the
stage's inputs and the code of its hooks. A change to any of these makes another record.
"""

import contextlib
import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from heterosis.profiling.files import write_atomically
from heterosis.profiling.sampling import Measurement, Start
from heterosis.terms import DEFAULT_MODE, Interference, Variant

FORMAT = 4
"""Raise it when records or the way of measuring change, so that older ones are not taken for newer ones."""


STARTS_KEPT = 5


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures of a record hold for. ``digest`` is the variant's."""

    stage: str
    variant: str
    digest: str
    threads: int
    device: str = "cpu"
    power_mode: str = DEFAULT_MODE
    machine: str
    versions: dict[str, str]
    inputs: str
    code: str
    format: int = FORMAT

    @property
    def key(self) -> str:
        """The name of the record."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:32]

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What is measured, whatever it depends on."""
        return self.stage, self.variant, self.threads, self.power_mode

    def changes(self, now: "Subject") -> str:
        """Say what is different now."""
        found = []
        if self.machine != now.machine:
            found.append(f"it was on {self.machine}, and this is {now.machine}")
        found += changed_versions(self.versions, now.versions)
        if self.digest != now.digest:
            found.append("the model, or how its variants are made, has changed")
        if self.inputs != now.inputs:
            found.append("the samples, or the stages before it, have changed")
        if self.code != now.code:
            found.append("the code of its stage has changed")
        return "; ".join(found) or "the way of measuring has changed"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured of one configuration."""

    subject: Subject
    measured_at: str
    measurements: tuple[Measurement, ...] = ()
    starts: tuple[Start, ...] = ()
    """Of the processes that measured, the last few."""

    def at(self, batch: int) -> Measurement | None:
        """The measurement at a batch size, if there is one."""
        return next((each for each in self.measurements if each.batch == batch), None)

    def plus(self, measurement: Measurement) -> "Record":
        """Add a measurement made now, in place of an earlier one of its batch size."""
        others = (each for each in self.measurements if each.batch != measurement.batch)
        measurements = sorted((*others, measurement), key=lambda each: each.batch)
        return msgspec.structs.replace(self, measurements=tuple(measurements), measured_at=now())

    def begun(self, start: Start) -> "Record":
        """Add how a process that measures began."""
        return msgspec.structs.replace(self, starts=(*self.starts, start)[-STARTS_KEPT:])


class Records:
    """The records in a store folder, without what was measured while the machine was too busy."""

    def __init__(self, store: Path, most_waiting: float = 1.0) -> None:
        """Use ``profiles/`` in this folder; leave out what has a ``waiting_ratio`` above ``most_waiting``."""
        self._folder = store / "profiles"
        self._most_waiting = most_waiting

    def load(self, subject: Subject) -> Record:
        """Read the record of a subject; an empty one where there is none, or where it cannot be read."""
        try:
            record = msgspec.json.decode((self._folder / f"{subject.key}.json").read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            record = None
        if record is None or record.subject != subject:
            return Record(subject=subject, measured_at=now())
        quiet = tuple(each for each in record.measurements if each.waiting_ratio <= self._most_waiting)
        if len(quiet) < len(record.measurements):
            return msgspec.structs.replace(record, measurements=quiet)
        return record

    def why_stale(self, subject: Subject) -> str:
        """Say why what is on record of a configuration no longer holds; nothing where nothing is."""
        before = [
            record
            for record in self._all
            if (record.subject.place == subject.place) and record.subject != subject and record.measurements
        ]
        if not before:
            return ""
        latest = max(before, key=lambda record: record.measured_at)
        return f"what was measured on {latest.measured_at} no longer holds: {latest.subject.changes(subject)}"

    @cached_property
    def _all(self) -> list[Record]:
        """Every record that can be read, as it was at first."""
        found = []
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found.append(msgspec.json.decode(path.read_bytes(), type=Record))
        return found

    def interference(self, one: Subject, other: Subject) -> list[Interference]:
        """Read what was measured of two subjects side by side; nothing where nothing was."""
        try:
            return msgspec.json.decode(self._pair(one, other).read_bytes(), type=list[Interference])
        except (FileNotFoundError, msgspec.DecodeError):
            return []

    def save_interference(self, one: Subject, other: Subject, found: Sequence[Interference]) -> None:
        """Write what was measured of two subjects side by side."""
        write_atomically(self._pair(one, other), [msgspec.json.encode(found)])

    def _pair(self, one: Subject, other: Subject) -> Path:
        return self._folder / "pairs" / f"{one.key}-{other.key}.json"

    def save(self, record: Record) -> None:
        """Write a record, at once and whole."""
        content = msgspec.json.format(msgspec.json.encode(record), indent=1)
        write_atomically(self._folder / f"{record.subject.key}.json", [content])


def changed_versions(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say which versions differ, of what both know."""
    return [
        f"{name} was {version}, and is {after[name]}"
        for name, version in sorted(before.items())
        if after.get(name, version) != version
    ]


def now() -> str:
    """Return the time as ISO 8601, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions_for(variant: Variant) -> dict[str, str]:
    """Return the versions of what a variant's figures depend on: Python, numpy, heterosis, and its engine's library."""
    found = {"python": platform.python_version()}
    for name in ("heterosis", "numpy", variant.engine):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an engine of our own
            continue
    return found


def digest_of_code(folder: Path) -> str:
    """Digest the Python files of a stage's folder: its hooks, and the modules beside them that they may use."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()
