"""Memory that is shared with workers."""

import gc
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.transport.memory import SharedMemory, SharedView

SIZE = 1 << 20


@given(steps=st.lists(st.tuples(st.integers(1, SIZE // 3), st.integers(0, 5)), max_size=30))
def test_blocks_that_somebody_has_never_overlap(steps: list[tuple[int, int]]) -> None:
    """Whatever is taken and given back; what does not fit is refused."""
    memory = SharedMemory(SIZE)
    held: list[tuple[memoryview, int]] = []
    for mark, (length, drop) in enumerate(steps):
        block = memory.allocate(length, offset=mark)
        if block is not None:
            block[:] = bytes([mark]) * length
            held.append((block, mark))
        del block
        if drop < len(held):
            del held[drop]
        assert all(bytes(block) == bytes([mark]) * len(block) for block, mark in held)
        assert memory.given == len(held)
    held.clear()
    memory.close()


def test_a_block_lives_as_long_as_an_array_of_it() -> None:
    """Arrays and views of arrays keep it, as they would keep memory of their own."""
    memory = SharedMemory(SIZE)
    block = memory.allocate(8000)
    assert block is not None
    array = np.frombuffer(block, np.float32).reshape(10, 200)[3:, ::2]
    del block
    gc.collect()
    assert memory.given == 1
    del array
    assert memory.given == 0


def test_what_is_written_is_seen_elsewhere_and_cannot_be_written_there() -> None:
    """Another mapping of the same memory reads it, at the place that the router says."""
    memory = SharedMemory(SIZE)
    block = memory.copy(b"hello" * 1000)
    assert block is not None
    place = memory.place_of(block[5:])
    assert place is not None
    seen = SharedView(memory.path).frame(place, 5)
    assert bytes(seen) == b"hello"
    assert seen.readonly
    assert memory.place_of(b"elsewhere") is None


@given(length=st.integers(1, SIZE // 2), offset=st.integers(0, 5000))
def test_the_byte_asked_for_is_at_the_start_of_a_cache_line(length: int, offset: int) -> None:
    """So that the tensor behind a header is aligned."""
    memory = SharedMemory(SIZE)
    block = memory.allocate(length + offset + 1, offset)
    if block is not None:
        assert np.frombuffer(block[offset:], np.uint8).ctypes.data % 64 == 0


def test_what_a_crowd_has_left_behind_goes_back_to_the_system() -> None:
    """Once it was idle for a round; what is in use keeps its content, and what is free can be used again."""
    memory = SharedMemory(SIZE)

    def resident() -> int:
        return Path(memory.path).stat().st_blocks * 512

    kept = memory.copy(b"k" * 8192)
    crowd = [memory.copy(b"c" * 8192) for _ in range(20)]
    assert resident() == 21 * 8192
    memory.trim()
    crowd.clear()
    memory.trim()
    assert resident() == 21 * 8192
    memory.trim()
    assert resident() == 8192
    memory.trim()
    again = [memory.copy(bytes([number]) * 8192) for number in range(3)]
    assert kept is not None
    assert bytes(kept) == b"k" * 8192
    assert [bytes(each or b"") for each in again] == [bytes([number]) * 8192 for number in range(3)]
    assert resident() == 4 * 8192
