"""The journal: every event that the scheduler handled, with its time and effects, appended to files.

Rules
-----
1. A run begins a part of its own: what stands at the path when it starts is put aside first, as ``PATH.000001`` and so
   on, numbers growing with time. The part being written is always ``PATH`` itself.
2. A part that has grown past a limit is put aside likewise, and the run goes on in another. Nothing is ever renamed
   twice, or written to again; who wants the disk back deletes the oldest parts, or says how many to keep.
3. A part begins with a header that names its run, then come records: length (four bytes, little-endian), CRC-32 of what
   follows (four bytes), a `scheduling.Record` in MessagePack. Where a crash cut the last record short, or the disk lost
   it, the part ends before it.
4. Records are written and flushed by a thread, so that a slow disk does not hold up who serves; a crash of the process
   loses the last fraction of a second, a crash of the machine what the system had not written yet.
"""

import os
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from heterosis.scheduling import Record
from heterosis.terms.errors import UsageError

MAX_PART_BYTES = 256 << 20
FLUSH_BYTES = 1 << 20
"""What the thread writes at once at the most."""
_PREFIX = 4
_DIGITS = 6


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a part begins with."""

    journal: str
    """Of which run: the same in all of its parts."""
    part: int
    """0 for the first of the run."""
    format: int = 2


class Journal:
    """Appends records to files. Use from one thread, and `close` in the end."""

    def __init__(self, path: Path, *, max_part_bytes: int = MAX_PART_BYTES, keep: int | None = None) -> None:
        """Begin a run; of older parts, ``keep`` so many (by default all)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._max_part_bytes, self._keep = path, max_part_bytes, keep
        self._encoder = msgspec.msgpack.Encoder()
        self._run = os.urandom(8).hex()
        self._part = 0
        self._failure: OSError | None = None
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._file = self._begin()
        self._thread = threading.Thread(target=self._write_on, name="journal", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Append one record; it reaches the disk soon after."""
        self._waiting.put(_framed(self._encoder.encode(record)))

    def close(self) -> None:
        """Bring everything to the disk. Raise OSError where that failed at any time."""
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> BinaryIO:
        if self._path.exists() and self._path.stat().st_size:
            self._path.rename(_aside(self._path))
            if self._keep is not None:
                for old in _put_aside(self._path)[: -self._keep or None]:
                    old.unlink(missing_ok=True)
        file = self._path.open("wb")
        file.write(_framed(self._encoder.encode(Header(journal=self._run, part=self._part))))
        self._part += 1
        return file

    def _write_on(self) -> None:
        size, open_still = 0, True
        while open_still:
            chunks = [self._waiting.get()]
            while chunks[-1] is not None and sum(map(len, filter(None, chunks))) < FLUSH_BYTES:
                try:
                    chunks.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            open_still = chunks[-1] is not None
            if self._failure is not None:
                continue  # what was lost cannot be made up for: the journal ends where the disk failed
            try:
                size = self._append(b"".join(filter(None, chunks)), size)
            except OSError as error:
                self._failure = error
        if self._failure is None:
            os.fsync(self._file.fileno())
        self._file.close()

    def _append(self, chunk: bytes, size: int) -> int:
        """Write to the part, or to a new one where that is full; return the size of the part."""
        if size and size + len(chunk) > self._max_part_bytes:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file, size = self._begin(), 0
        self._file.write(chunk)
        self._file.flush()
        return size + len(chunk)


def read_journal(path: Path, run: int = -1) -> Iterator[Record]:
    """Yield the records of a run, in order: of the last one, or of another by its number among those kept.

    Raise UsageError where there is no journal or no such run, or where the run's beginning was deleted.
    """
    runs = read_runs(path)
    if not runs:
        raise UsageError(f"there is no journal {path}; `heterosis serve FILE --journal {path}` writes one")
    try:
        parts = runs[run]
    except IndexError:
        raise UsageError(f"the journal {path} has {len(runs)} runs, and no number {run}") from None
    decoder = msgspec.msgpack.Decoder(Record)
    for expected, part in enumerate(parts):
        header, payloads = _open(part)
        if header.part != expected:
            raise UsageError(f"a part of the journal {path} is missing before {part.name}: part {expected} of its run")
        yield from map(decoder.decode, payloads)


def read_runs(path: Path) -> list[list[Path]]:
    """Return the parts of each run at a path, oldest first."""
    runs: dict[str, list[Path]] = {}
    for part in (*_put_aside(path), *([path] if path.exists() else ())):
        runs.setdefault(_open(part)[0].journal, []).append(part)
    return list(runs.values())


def _open(part: Path) -> tuple[Header, Iterator[bytes]]:
    payloads = _payloads(part)
    try:
        return msgspec.msgpack.decode(next(payloads, b""), type=Header), payloads
    except msgspec.MsgspecError as error:
        raise UsageError(f"{part} is no journal of `heterosis serve --journal`: {error}") from None


def _payloads(part: Path) -> Iterator[bytes]:
    """Yield what is whole; what follows something that is not cannot be told apart any more."""
    try:
        file = part.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read the journal {part}: {error}") from None
    with file:
        while len(prefix := file.read(2 * _PREFIX)) == 2 * _PREFIX:
            payload = file.read(int.from_bytes(prefix[:_PREFIX], "little"))
            if zlib.crc32(payload) != int.from_bytes(prefix[_PREFIX:], "little"):
                return
            yield payload


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(_PREFIX, "little") + zlib.crc32(payload).to_bytes(_PREFIX, "little") + payload


def _aside(path: Path) -> Path:
    """The name under which a part is put aside next."""
    taken = [int(part.suffix[1:]) for part in _put_aside(path)]
    return path.with_name(f"{path.name}.{max(taken, default=0) + 1:0{_DIGITS}}")


def _put_aside(path: Path) -> list[Path]:
    """The parts put aside, oldest first."""
    numbered: Callable[[Path], bool] = lambda part: part.suffix[1:].isdecimal() and len(part.suffix) > _DIGITS  # noqa: E731
    return sorted(filter(numbered, path.parent.glob(f"{path.name}.*")), key=lambda part: int(part.suffix[1:]))
