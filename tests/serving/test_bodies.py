"""Memory for the bodies of requests."""

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


def test_what_is_kept_is_bounded_and_makes_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes; and where the memory is full, what is kept goes first."""
    monkeypatch.setattr(bodies, "MOST_KEPT_BYTES", 3 * BODY)
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    given = [rooms.give(BODY - number, {}, 0) for number in range(8)]
    while given:
        room = given.pop()
        rooms.take_back(room, BODY - len(given), {}, 0)
        del room
    assert 0 < memory.given <= 3
    large = rooms.give(9 * BODY, {}, 0)
    assert memory.begin_of(large) is not None
    assert memory.given == 1
    assert memory.begin_of(rooms.give(9 * BODY, {}, 0)) is None  # of the heap


def test_small_bodies_lie_elsewhere() -> None:
    """They are copied sooner than looked up."""
    memory = SharedMemory(SIZE)
    rooms = BodyMemory(memory)
    room = rooms.give(100, {}, 0)
    rooms.take_back(room, 100, {}, 0)
    assert memory.given == 0
