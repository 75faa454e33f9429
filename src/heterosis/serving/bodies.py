"""Where the bodies of requests lie: in the memory shared with workers, so that their tensors need not be copied."""

from collections import defaultdict
from collections.abc import Mapping

from heterosis.serving.http.rooms import Heap
from heterosis.serving.protocol import HEADER_LENGTH
from heterosis.serving.shelf import Shelf
from heterosis.serving.transport import SharedMemory
from heterosis.serving.transport.hub import SHARED_BYTES

_HEADER_LENGTH = HEADER_LENGTH.lower()
MOST_KEPT_BYTES = 8 << 20
"""Of rooms that were taken back; those past it are blocks of the memory like any other."""

_Kind = tuple[int, int, str]


class BodyMemory:
    """Gives shared memory to large bodies, and any other to small ones, and where there is no room.

    The first tensor that follows the JSON of a request begins where engines like arrays to begin.
    """

    def __init__(self, memory: SharedMemory) -> None:
        """Give of this memory."""
        self._memory = memory
        self._heap = Heap()
        self._kept: dict[_Kind, Shelf[memoryview]] = defaultdict(Shelf)
        self._kept_bytes = 0

    def give(self, length: int, headers: Mapping[str, str], before: int) -> memoryview:
        """See `Rooms.give`."""
        if length >= SHARED_BYTES:
            announced = headers.get(_HEADER_LENGTH, "")
            if kept := self._kept.get((length, before, announced)):
                self._kept_bytes -= before + length
                return kept.take()
            json_bytes = int(announced) if announced.isdecimal() and len(announced) < len(str(length)) + 1 else 0
            block = self._memory.allocate(before + length, before + json_bytes)
            if block is None and self._kept_bytes:
                self._forget()
                block = self._memory.allocate(before + length, before + json_bytes)
            if block is not None:
                return block
        return self._heap.give(length, headers, before)

    def take_back(self, room: memoryview, length: int, headers: Mapping[str, str], before: int) -> None:
        """See `Rooms.take_back`."""
        if length < SHARED_BYTES or self._memory.begin_of(room) is None:
            return
        if self._kept_bytes + before + length <= MOST_KEPT_BYTES:
            self._kept[length, before, headers.get(_HEADER_LENGTH, "")].append(room)
            self._kept_bytes += before + length

    def trim(self) -> None:
        """Let go of rooms that nobody has needed since this was last called, and of the memory that lies idle."""
        for kind, kept in list(self._kept.items()):
            self._kept_bytes -= len(kept.take_idle()) * (kind[0] + kind[1])
            if not kept:
                del self._kept[kind]
        self._memory.trim()

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
