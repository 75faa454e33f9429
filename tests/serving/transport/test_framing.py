"""Messages on a stream of bytes, however it is cut."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.transport.framing import (
    ALIGNMENT,
    MAX_FRAME_BYTES,
    READ_BYTES,
    Assembler,
    FramingError,
    Place,
    frame,
)

SHARED_BYTES = 200_000
SHARED = memoryview(np.random.default_rng(0).bytes(SHARED_BYTES))

FRAMES = st.lists(
    st.one_of(
        st.binary(max_size=100),
        st.integers(0, 3 * READ_BYTES).map(lambda length: bytes([length % 256]) * length),
        st.tuples(st.integers(0, SHARED_BYTES // 2), st.integers(0, SHARED_BYTES // 2)),
    ),
    min_size=1,
    max_size=8,
)


def written(message: list[bytes | Place]) -> bytes:
    """A message as it is sent."""
    return b"".join(frame(message))


def read(assembler: Assembler, stream: bytes, cuts: list[int]) -> list[list[memoryview]]:
    """What comes out of a stream that arrives in pieces."""
    found, ends = [], iter([*cuts, len(stream)])
    end = next(ends)
    position = 0
    while position < len(stream):
        room = assembler.room
        count = min(len(room), max(1, end - position), len(stream) - position)
        room[:count] = stream[position : position + count]
        position += count
        if position >= end:
            end = next(ends, len(stream))
        found += assembler.arrived(count)
    return found


@given(
    messages=st.lists(FRAMES, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 300_000), max_size=8).map(sorted)
)
def test_messages_arrive_as_they_were_sent(messages: list[list[bytes | Place]], cuts: list[int]) -> None:
    """In order, whole, whatever pieces the stream comes in; what was not sent is found in the shared memory."""
    found = read(Assembler(1 << 30, SHARED), b"".join(map(written, messages)), cuts)
    assert [[bytes(part) for part in message] for message in found] == [
        [SHARED[part[0] : sum(part)] if isinstance(part, tuple) else part for part in message] for message in messages
    ]


@given(lengths=st.lists(st.integers(1, READ_BYTES), min_size=1, max_size=6))
def test_frames_begin_where_arrays_can_be_used(lengths: list[int]) -> None:
    """Each at an address that suits any number."""
    (message,) = read(Assembler(1 << 30), written([bytes(length) for length in lengths]), [])
    addresses = [np.frombuffer(part, np.uint8).ctypes.data for part in message if isinstance(part, memoryview)]
    assert [address % ALIGNMENT for address in addresses] == [0] * len(lengths)


@pytest.mark.parametrize(
    "stream",
    [
        bytes(4),
        b"\xff" * 64,
        struct.pack("<IQQ", 1, MAX_FRAME_BYTES + 1, 2**64 - 1),
        struct.pack("<IQQ", 1, 5000, 2**64 - 1),
        struct.pack("<IQQ", 1, 4, 0),
    ],
)
def test_what_is_no_message_or_too_large_is_refused(stream: bytes) -> None:
    """Before any memory is set aside for it."""
    with pytest.raises(FramingError):
        read(Assembler(4096), stream, [])
