"""Memory that is shared with workers."""

import gc
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.transport.memory import GRAIN, SharedMemory, look_into

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
    seen = look_into(memory.path)[place : place + 5]
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


@given(steps=st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(0, 3))), max_size=40))
def test_pages_that_nobody_needed_between_two_trims_go_back_to_the_system(
    steps: list[tuple[int, int] | None],
) -> None:
    """No others do: what is in use keeps its content, and what was used since is at hand."""
    memory = SharedMemory(SIZE)
    held: list[memoryview] = []
    resident: dict[int, int] = {}
    """Bytes, by where a block begins."""
    needed: set[int] = set()
    for step in steps:
        if step is None:
            memory.trim()
            resident = {start: pages for start, pages in resident.items() if start in needed}
            needed = {place_of(memory, block) for block in held}
        else:
            pages, drop = step
            block = memory.allocate(pages * GRAIN)
            assert block is not None
            place = place_of(memory, block)
            block[:] = bytes([place // GRAIN % 251]) * len(block)
            resident[place] = len(block)
            needed.add(place)
            held.append(block)
            del block
            if drop < len(held):
                del held[drop]  # its last moment counts: it is at hand until the trim after the next
        assert Path(memory.path).stat().st_blocks * 512 == sum(resident.values())
        assert all(bytes(each) == bytes([place_of(memory, each) // GRAIN % 251]) * len(each) for each in held)
    held.clear()
    memory.close()


def test_what_a_crowd_has_left_behind_is_there_for_blocks_of_any_size() -> None:
    """Though blocks of one size had filled all of it: only those that somebody still has are in the way."""
    memory = SharedMemory(SIZE)
    crowd = [memory.allocate(GRAIN) for _ in range(SIZE // GRAIN)]
    kept = crowd[100]
    assert kept is not None
    assert memory.allocate(1) is None
    crowd.clear()
    assert memory.allocate(2 * GRAIN) is None
    for _ in range(2):
        memory.trim()
    assert memory.allocate(156 * GRAIN) is None  # one more than there are behind the block that is left
    large = memory.allocate(128 * GRAIN)
    assert large is not None
    large[:] = bytes([1]) * len(large)
    assert not any(kept)
    assert memory.allocate(96 * GRAIN) is not None


def place_of(memory: SharedMemory, block: memoryview) -> int:
    """Where a block begins."""
    place = memory.place_of(block)
    assert place is not None
    return place
