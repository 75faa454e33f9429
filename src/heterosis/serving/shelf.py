"""What lies ready to be used again."""

from typing import TypeVar

T = TypeVar("T")


class Shelf(list[T]):
    """Things laid by, of which the latest goes first, since it is the warmest: so idle ones gather at the front."""

    __slots__ = ("_left_alone",)

    def __init__(self) -> None:
        """Lay nothing by yet."""
        super().__init__()
        self._left_alone = 0

    def take(self) -> T:
        """Take the latest; there must be one."""
        thing = self.pop()
        if len(self) < self._left_alone:  # noqa: PLR1730 - min would take longer
            self._left_alone = len(self)
        return thing

    def take_idle(self) -> list[T]:
        """Take those, at the front, that have lain here since this was last called, and nobody came near them."""
        idle = self[: self._left_alone]
        del self[: self._left_alone]
        self._left_alone = len(self)
        return idle
