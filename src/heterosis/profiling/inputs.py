"""The traced inputs of a stage, in a file that measuring processes map into memory.

The file holds the frames of `heterosis.serving.values`, each distinct one once: calls of one request often share a
large array. Its name is the digest of its content.
"""

import hashlib
import mmap
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.profiling.files import write_atomically
from heterosis.serving.values import EncodeError, decode, encode
from heterosis.terms.errors import UsageError

Args = tuple[Any, ...]

MAGIC = b"hetinput"
ALIGNMENT = 64
MAX_CALLS = 256
"""More calls than this are thinned out at random: they would cost memory and tell little more."""


class InputsFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where the traced inputs of a stage lie, and the digest of them all."""

    path: str
    digest: str
    calls: int


class _Index(msgspec.Struct, frozen=True):
    """The frames of each call, by number, and the place of each frame, counted from the end of the index."""

    calls: list[list[int]]
    places: list[tuple[int, int]]


def save_inputs(folder: Path, stage: str, calls: Sequence[Args]) -> InputsFile:
    """Write the arguments of a stage's calls. Raise UsageError where they could not travel to a worker either."""
    if len(calls) > MAX_CALLS:
        chosen = np.random.default_rng(0).choice(len(calls), MAX_CALLS, replace=False)
        calls = [calls[position] for position in sorted(chosen)]
    frames: dict[bytes, tuple[int, bytes | memoryview]] = {}
    numbers: list[list[int]] = []
    for args in calls:
        try:
            encoded = encode(args)
        except EncodeError as error:
            raise UsageError(
                f"stage {stage!r} is called with what it cannot be called with in a worker: {error}"
            ) from error
        hashes = [hashlib.sha256(frame).digest() for frame in encoded]
        numbers.append(
            [frames.setdefault(key, (len(frames), frame))[0] for key, frame in zip(hashes, encoded, strict=True)]
        )
    places, end = [], 0
    for _, frame in frames.values():
        places.append((end, len(frame)))
        end = _aligned(end + len(frame))
    index = msgspec.msgpack.encode(_Index(numbers, places))
    digest = hashlib.sha256(index + b"".join(frames)).hexdigest()
    path = folder / f"{stage}-{digest[:16]}.inputs"
    if not path.exists():
        write_atomically(path, _content(index, [frame for _, frame in frames.values()]))
    return InputsFile(path=str(path), digest=digest, calls=len(calls))


def load_inputs(path: str | Path) -> list[Args]:
    """Read the calls; large arrays are read-only views of the file."""
    with Path(path).open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, length = struct.unpack_from("<8sQ", content)
    if magic != MAGIC:
        raise UsageError(f"{path} is no file of traced inputs; delete it and profile again")
    start = struct.calcsize("<8sQ")
    index = msgspec.msgpack.decode(content[start : start + length], type=_Index)
    base = _aligned(start + length)
    frames = [content[base + place : base + place + size] for place, size in index.places]
    return [decode([frames[number] for number in numbers]) for numbers in index.calls]


def _content(index: bytes, frames: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    head = struct.pack("<8sQ", MAGIC, len(index)) + index
    for part in (head, *frames):
        yield part
        yield bytes(_aligned(len(part)) - len(part))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
