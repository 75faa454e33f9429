"""How messages lie on a stream of bytes. No I/O here: both ends read with an `Assembler` and write with `frame`.

A message is its number of frames (four bytes), an entry for each, and the frames that are not in shared memory. An
entry is a frame's length, and its place in the shared memory or `INLINE` (eight bytes each, little-endian). Inline
frames begin at multiples of `ALIGNMENT` from the start of the first, so that arrays can be used where they lie.
"""

import functools
import struct
from collections.abc import Sequence
from operator import getitem
from typing import NamedTuple

import msgspec
import numpy as np

from heterosis.serving.values import Buffer

INLINE = 2**64 - 1
ALIGNMENT = 16
READ_BYTES = 64 << 10
MAX_FRAMES = 1 << 20
REMEMBERED, REMEMBERED_FRAMES = 256, 8
"""How many lists of entries, up to how long, are read but once."""
MAX_FRAME_BYTES = 1 << 30
MAX_MESSAGE_BYTES = 4 << 30

_COUNT = struct.Struct("<I")
ONE = struct.Struct("<IQQ")
"""The beginning of a message of one frame."""
_ENTRY_BYTES = 16
PADDING = tuple(bytes(-length % ALIGNMENT) for length in range(ALIGNMENT))
"""What follows a frame that is sent, by what its length has beyond a multiple of `ALIGNMENT`."""

NOTHING = memoryview(b"")

Place = tuple[int, int]
"""Where a frame lies in shared memory: first byte, and length."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """A frame that is a part of a block of memory, or of none: so it need not be looked for where it lies."""

    view: memoryview
    block: memoryview | None
    """The block, or any view of it."""
    at: int
    """Where in the block it begins."""


Frames = Sequence[Buffer | Part]


class FramingError(Exception):
    """Bytes that are no message."""


def head_of(entries: Sequence[int]) -> bytes:
    """Return the beginning of a message whose frames have these lengths and places (or `INLINE`), in turn."""
    return struct.pack(f"<I{len(entries)}Q", len(entries) // 2, *entries)


def frame(frames: Sequence[Buffer | Place]) -> list[Buffer]:
    """Return what to send for frames, in parts; of those that are in shared memory, where they are."""
    entries: list[int] = []
    parts: list[Buffer] = [b""]
    for each in frames:
        if isinstance(each, tuple):
            entries += (each[1], each[0])
        else:
            length = len(each)
            entries += (length, INLINE)
            parts += (each, PADDING[length % ALIGNMENT])
    parts[0] = head_of(entries)
    return parts


class Assembler:
    """Puts messages together from what is read: give it bytes by filling `room`, then say `arrived`."""

    def __init__(self, most_bytes: int, shared: memoryview = NOTHING) -> None:
        """Take messages of up to so many bytes; raise it when the other end is known.

        ``shared`` is the memory that it shares with us, if it does.
        """
        self.most_bytes = most_bytes
        self._shared = shared
        self._buffer = bytearray(READ_BYTES)
        self._view = self.room = memoryview(self._buffer)
        """Where the next bytes go."""
        self._start = self._end = 0
        self._layout = _layout_of(b"")
        self._block: memoryview | None = None
        """Where the inline frames of a large message go."""
        self._block_filled = 0

    def only(self, count: int) -> memoryview | None:
        """Return the frame of a message that has no other, where that is all that is there with so many bytes more.

        It lies in the room, until more is read. Where there is no such thing, the bytes are still to be `arrived`.
        """
        if self._end or self._block is not None or count < ONE.size:
            return None
        frames, length, place = ONE.unpack_from(self._buffer)
        if frames != 1 or place != INLINE or count != ONE.size + length + -length % ALIGNMENT:
            return None
        return self._view[ONE.size : ONE.size + length]

    def arrived(self, count: int) -> list[list[memoryview]]:
        """Take note of so many bytes in the room; return the messages that are complete, as frames.

        Raise FramingError for what is no message.
        """
        found: list[list[memoryview]] = []
        if self._block is not None:
            self._block_filled += count
            if self._block_filled == len(self._block):
                block, self._block = self._block, None
                found.append(self._layout.cut(block, self._shared))
            self._make_room()
            return found
        self._end += count
        while self._start < self._end and (message := self._next()) is not None:
            found.append(message)
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer):
            left = self._end - self._start
            if left == len(self._buffer):  # a long list of entries
                self._grow()
            else:
                self._view[:left] = bytes(self._view[self._start : self._end])
                self._start, self._end = 0, left
        if self._end or self._block is not None or self.room is not self._view:
            self._make_room()
        return found

    def _make_room(self) -> None:
        if self._block is not None:
            self.room = self._block[self._block_filled :]
        else:
            self.room = self._view[self._end :] if self._end else self._view

    def _grow(self) -> None:
        larger = bytearray(2 * len(self._buffer))
        larger[: len(self._buffer)] = self._buffer
        self._buffer = larger
        self._view = memoryview(larger)

    def _next(self) -> list[memoryview] | None:
        """Take the next message out of the buffer; None where it is not there, or goes on in a block."""
        start, have = self._start, self._end - self._start
        if have < _COUNT.size:
            return None
        (frames,) = _COUNT.unpack_from(self._buffer, start)
        if not 0 < frames <= MAX_FRAMES or frames * _ENTRY_BYTES > self.most_bytes:
            raise FramingError(f"a message of {frames} frames")
        head = _COUNT.size + frames * _ENTRY_BYTES
        if have < head:
            return None
        entries = bytes(self._view[start + _COUNT.size : start + head])
        self._layout = layout = _remembered(entries) if frames <= REMEMBERED_FRAMES else _layout_of(entries)
        inline = layout.inline_bytes
        if layout.reach > len(self._shared):
            raise FramingError(f"a frame up to byte {layout.reach} of shared memory, which has {len(self._shared)}")
        if inline > self.most_bytes:
            raise FramingError(f"a message of {inline} bytes")
        if have >= head + inline:
            self._start += head + inline
            body = memoryview(bytes(self._view[start + head : start + head + inline]))
            return layout.cut(body, self._shared) if layout.reach else list(map(body.__getitem__, layout.frames))
        if head + inline > len(self._buffer) - start:
            here = have - head
            self._block = np.empty(inline, np.uint8).data
            self._block[:here] = self._view[start + head : self._end]
            self._block_filled = here
            self._start = self._end = 0
        return None


class _Layout(NamedTuple):
    """Where the frames of a message are."""

    inline_bytes: int
    frames: Sequence[slice]
    """Where each lies in what was sent, or in the shared memory."""
    shared: Sequence[bool]
    """Which of them lie in the shared memory."""
    reach: int
    """The first byte of the shared memory that is behind all of them."""

    def cut(self, body: memoryview, shared: memoryview) -> list[memoryview]:
        sources = map((body, shared).__getitem__, self.shared)
        return list(map(getitem, sources, self.frames))  # type: ignore[arg-type] # getitem takes several kinds


def _layout_of(entries: bytes) -> _Layout:
    numbers = struct.unpack(f"<{len(entries) // 8}Q", entries)
    frames, shared = [], []
    position = reach = 0
    for length, place in zip(numbers[::2], numbers[1::2], strict=True):
        if length > MAX_FRAME_BYTES:
            raise FramingError(f"a frame of {length} bytes")
        shared.append(place != INLINE)
        if place != INLINE:
            frames.append(slice(place, place + length))
            reach = max(reach, place + length)
        else:
            frames.append(slice(position, position + length))
            position += length + -length % ALIGNMENT
    return _Layout(position, frames, shared, reach)


_remembered = functools.lru_cache(REMEMBERED)(_layout_of)
"""Messages are mostly alike but for what is in their frames."""
