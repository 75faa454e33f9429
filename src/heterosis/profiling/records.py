"""What was measured, kept in the store, so that nothing is measured twice.

A record is named after all that its figures depend on: the variant, the threads, the machine, the libraries, the
stage's inputs and the code of its hooks. A change to any of these makes another record.
"""

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from heterosis.profiling.files import write_atomically
from heterosis.profiling.sampling import Measurement, Start
from heterosis.terms import DEFAULT_MODE, Variant

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
        """Add a measurement made now."""
        measurements = sorted((*self.measurements, measurement), key=lambda each: each.batch)
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

    def save(self, record: Record) -> None:
        """Write a record, at once and whole."""
        content = msgspec.json.format(msgspec.json.encode(record), indent=1)
        write_atomically(self._folder / f"{record.subject.key}.json", [content])


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
