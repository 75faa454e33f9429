"""The journal: every event that the scheduler handled, with its time and effects, appended to a file.

A file is a run of records, each a length (four bytes, little-endian) and a `scheduling.Record` in MessagePack. A record
that was cut off by a crash is left out when the file is read.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from heterosis.scheduling import Record

_LENGTH_BYTES = 4


class Journal:
    """Appends records to a file."""

    def __init__(self, path: Path) -> None:
        """Create the file, or write on at its end."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._encoder = msgspec.msgpack.Encoder()

    def write(self, record: Record) -> None:
        """Append one record."""
        encoded = self._encoder.encode(record)
        self._file.write(len(encoded).to_bytes(_LENGTH_BYTES, "little") + encoded)

    def close(self) -> None:
        """Bring everything to the disk."""
        self._file.close()


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a file, in order."""
    decoder = msgspec.msgpack.Decoder(Record)
    with path.open("rb") as file:
        while len(prefix := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
            encoded = file.read(int.from_bytes(prefix, "little"))
            if len(encoded) < int.from_bytes(prefix, "little"):
                return
            yield decoder.decode(encoded)
