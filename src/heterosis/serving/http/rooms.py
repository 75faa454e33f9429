"""Where bodies are read into."""

from collections.abc import Mapping
from typing import Protocol


class Rooms(Protocol):
    """Gives memory for bodies, and takes it back."""

    def give(self, length: int, headers: Mapping[str, str], before: int) -> memoryview:
        """Return the memory for a body of so many bytes under these headers, behind so many other bytes."""
        ...

    def take_back(self, room: memoryview, length: int, headers: Mapping[str, str], before: int) -> None:
        """Take what was given for this back from who knows that nobody looks at it any more; else it is collected."""
        ...


class Heap:
    """Memory like any other."""

    def give(self, length: int, headers: Mapping[str, str], before: int) -> memoryview:  # noqa: ARG002
        """See `Rooms.give`."""
        return memoryview(bytearray(before + length))

    def take_back(self, room: memoryview, length: int, headers: Mapping[str, str], before: int) -> None:
        """Leave it to be collected."""
