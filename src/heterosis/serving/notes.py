"""What is noted of each request in passing, and added up later."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST_NOTES = 256
"""Notes that wait at most."""


class Notes(list[T]):
    """Notes that wait to be added up, many at once.

    A request finds caches full of what an engine needed: to append a note costs it a tenth of adding it up, and even
    `note` costs more. So what takes part in every request appends, and looks itself whether there are `MOST_NOTES`.
    """

    __slots__ = ("_add",)

    def __init__(self, add: Callable[[Sequence[T]], None]) -> None:
        """Have nothing noted yet; ``add`` is given what was, in order."""
        super().__init__()
        self._add = add

    def note(self, it: T) -> None:
        """Take a note."""
        self.append(it)
        if len(self) >= MOST_NOTES:
            self.add_up()

    def add_up(self) -> None:
        """Add up what is noted."""
        notes = self.copy()
        self.clear()
        self._add(notes)
