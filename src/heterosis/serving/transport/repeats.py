"""Batches and results that repeat an earlier one but for their number and their arrays: only that is sent of them.

Most are of this kind, and are written and read while caches are full of what an engine needed, where every step of a
message in full counts. The first that consists of one call, whose value is a header and arrays, has a number in it for
its *kind*: what it has but for its arrays. Of the following ones of that kind a single frame of numbers is sent: a mark
that begins no MessagePack, the kind, the batch, and the places of a call's arrays in shared memory, or how long the
batch ran and the arrays of its result.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from heterosis.serving.forms import read_header
from heterosis.serving.messages import Done, Run
from heterosis.serving.transport.framing import ALIGNMENT, INLINE, ONE, PADDING, FramingError
from heterosis.serving.values import Buffer

MARK = 0xC1
"""The first byte of a repeat: the only one that MessagePack never uses."""
MOST_KINDS, MOST_HEADER_BYTES = 64, 512
"""How many kinds, with headers up to how long, an end has numbers for."""
MOST_ARRAYS = 16
MOST_PLACES = 256
"""How many sets of places are remembered: blocks of shared memory are used again and again."""
MOST_RESULT_BYTES = 16 << 10
"""Larger results are sent in full: what that costs is nothing to them."""

_RUN = struct.Struct("<B7xQ")
_DONE = struct.Struct("<B3xIQd8x")
_DONE_MESSAGE = struct.Struct(ONE.format + _DONE.format[1:])


class Kind(NamedTuple):
    """What all batches, or results, of a kind have in common."""

    sizes: tuple[int, ...]
    """See `Run.sizes`."""
    header: bytes
    """Of the value."""
    lengths: Sequence[int]
    """Of the value's arrays, in bytes."""
    places: Sequence[slice]
    """Where they are in a repeat that brings them along."""
    end: int
    """Where that ends."""


class Again(list[Buffer]):
    """The frames of a repeat whose arrays begin as arrays should: another's at the same places are the same object."""

    value: Any = None
    """For who reads them, to keep what it made of them: arrays are views, and see what lies there now."""


class Sent(dict[Buffer, int]):
    """The kinds that one end has sent: their numbers, by the header of their values."""

    def new(self, header: Buffer, arrays: int) -> int:
        """Return a number for a kind that is sent in full, the oldest one's where all are taken; 0 where it gets none.

        A header that is no form alone has numbers or text in it, and would hardly come again.
        """
        if not 0 < arrays <= MOST_ARRAYS or len(header) > MOST_HEADER_BYTES or read_header(header) is None:
            return 0
        number = self.pop(next(iter(self))) if len(self) == MOST_KINDS else len(self) + 1
        self[bytes(header)] = number
        return number


class Received:
    """The kinds that one end has received."""

    def __init__(self) -> None:
        """Know none."""
        self._kinds: dict[int, Kind] = {}
        self._at: dict[bytes, tuple[tuple[int, ...], Sequence[Buffer]]] = {}
        """What was made of repeats, by the kind and the places in them."""

    def learn(self, message: Run | Done, frames: Sequence[Buffer]) -> None:
        """Take note of the kind of a message that came in full. Raise FramingError where it can have none."""
        header, *arrays = frames
        if not 0 < message.kind <= MOST_KINDS or len(header) > MOST_HEADER_BYTES or len(message.sizes) != 1:
            raise FramingError(f"a message of {len(frames)} frames as the first of kind {message.kind}")
        places, end = [], 0
        for array in arrays:
            places.append(slice(end, end + len(array)))
            end += len(array) + -len(array) % ALIGNMENT
        self._kinds[message.kind] = Kind(message.sizes, bytes(header), [len(each) for each in arrays], places, end)
        self._at.clear()

    def run(self, frame: memoryview, shared: memoryview) -> tuple[Run, Sequence[Buffer]]:
        """Return the batch that a repeat stands for, with its frames; raise FramingError where it is none."""
        try:
            _, batch = _RUN.unpack_from(frame)
            where = bytes(frame[_RUN.size :])
            known = self._at.get(where)
            if known is None:
                known = self._look(where, shared)
        except (struct.error, KeyError, ValueError) as error:
            raise FramingError(f"a batch that repeats none: {error}") from error
        sizes, frames = known
        return Run(batch=batch, sizes=sizes), frames

    def _look(self, where: bytes, shared: memoryview) -> tuple[tuple[int, ...], Sequence[Buffer]]:
        number, *starts = struct.unpack(f"<{len(where) // 8}Q", where)
        kind = self._kinds[number]
        frames: list[Buffer] = [kind.header]
        for start, length in zip(starts, kind.lengths, strict=True):
            frames.append(shared[start : start + length])
        if any(start % ALIGNMENT for start in starts):  # arrays would be copies
            return kind.sizes, frames
        if len(self._at) == MOST_PLACES:
            self._at.clear()
        again = Again(frames)
        self._at[where] = kind.sizes, again
        return kind.sizes, again

    def done(self, frame: memoryview) -> tuple[Done, Sequence[bytes | memoryview]]:
        """Return the result that a repeat stands for, with its frames; raise FramingError where it is none."""
        try:
            _, number, batch, run_ms = _DONE.unpack_from(frame)
            kind = self._kinds[number]
        except (struct.error, KeyError) as error:
            raise FramingError(f"a result that repeats none: {error}") from error
        body = memoryview(bytes(frame[_DONE.size :]))
        if len(body) != kind.end:
            raise FramingError(f"a result of {len(body)} bytes, where those of its kind have {kind.end}")
        frames: list[bytes | memoryview] = [kind.header]
        for place in kind.places:
            frames.append(body[place])  # noqa: PERF401 - a comprehension is a call
        return Done(batch=batch, run_ms=run_ms, sizes=kind.sizes), frames


def run_again(kind: int, batch: int, starts: Sequence[int]) -> bytes:
    """Write a batch of a kind whose arrays begin there in shared memory."""
    count = len(starts)
    return _run_message(count).pack(1, _RUN.size + 8 + 8 * count, INLINE, MARK, batch, kind, *starts)


def done_again(kind: int, batch: int, run_ms: float, arrays: Sequence[Buffer]) -> bytes | None:
    """Write a result of a kind with these arrays; None where they are too large for that."""
    parts: list[Buffer] = [b""]
    length = _DONE.size
    for array in arrays:
        padding = PADDING[len(array) % ALIGNMENT]
        parts += (array, padding)
        length += len(array) + len(padding)
    if length > MOST_RESULT_BYTES:
        return None
    parts[0] = _DONE_MESSAGE.pack(1, length, INLINE, MARK, kind, batch, run_ms)
    return b"".join(parts)


@lru_cache(MOST_ARRAYS)
def _run_message(arrays: int) -> struct.Struct:
    numbers = 1 + arrays  # the kind is one, too
    return struct.Struct(f"{ONE.format}{_RUN.format[1:]}{numbers}Q{8 * numbers % ALIGNMENT}x")
