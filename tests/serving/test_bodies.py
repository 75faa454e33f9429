"""Memory for the bodies of requests."""

from pathlib import Path

import pytest

from heterosis.serving import bodies
from heterosis.serving.bodies import BodyMemory
from heterosis.serving.transport import SharedMemory

SIZE = 1 << 20
BODY = 100_000


def test_a_room_that_was_taken_back_is_given_again_to_its_like() -> None:
    """As it is; another kind of request gets another one, and one that nobody gave back is nobody else's."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    headers = {"inference-header-content-length": "100"}
    room = rooms.give(BODY, headers, 200)
    begin = memory.begin_of(room)
    assert begin is not None
    assert (begin + 200 + 100) % 64 == 0
    other = rooms.give(BODY, headers, 200)
    rooms.take_back(room, BODY, headers, 200)
    assert memory.begin_of(rooms.give(BODY, {}, 200)) not in {begin, memory.begin_of(other), None}
    assert memory.begin_of(rooms.give(BODY, headers, 200)) == begin


def take_all_back(rooms: BodyMemory, given: list[memoryview], length: int) -> None:
    """Give back all that was given."""
    while given:
        rooms.take_back(given.pop(), length, {}, 0)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes."""
    monkeypatch.setattr(bodies, "MOST_KEPT_BYTES", 3 * BODY)
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    take_all_back(rooms, [rooms.give(BODY, {}, 0) for _ in range(8)], BODY)
    assert 0 < memory.given <= 3


def test_rooms_that_nobody_needs_any_more_go_back_to_the_system() -> None:
    """Those of a crowd, once it is over; whoever goes on finds its own."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    crowd = [rooms.give(BODY, {}, 0) for _ in range(8)]
    for room in crowd:
        room[:] = bytes(BODY)
    begins = {memory.begin_of(room) for room in crowd}
    del room
    take_all_back(rooms, crowd, BODY)
    for _ in range(3):
        room = rooms.give(BODY, {}, 0)
        assert memory.begin_of(room) in begins
        rooms.take_back(room, BODY, {}, 0)
        del room
        rooms.trim()
    assert memory.given == 1
    assert BODY <= Path(memory.path).stat().st_blocks * 512 < 2 * BODY


def test_kinds_of_requests_that_come_no_more_are_forgotten() -> None:
    """However many there were: what is kept of one is no longer counted."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    for length in range(BODY, BODY + 5):
        rooms.take_back(rooms.give(length, {}, 0), length, {}, 0)
    assert memory.given == 5
    for _ in range(2):
        rooms.trim()
    assert memory.given == 0


def test_where_the_memory_is_full_what_is_kept_goes_first() -> None:
    """Other kinds of requests get as much of it as those before; then there is none."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    for length in (BODY, BODY - 1):
        given = [rooms.give(length, {}, 0) for _ in range(10)]
        assert [memory.begin_of(room) is not None for room in given] == [True] * 9 + [False]
        take_all_back(rooms, given, length)


def test_small_bodies_lie_elsewhere() -> None:
    """They are copied sooner than looked up."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    room = rooms.give(100, {}, 0)
    rooms.take_back(room, 100, {}, 0)
    assert memory.given == 0
