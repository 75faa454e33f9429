"""What is found out once, and looked up from then on."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dict that finds what it lacks; what it has takes no call of a function, and decisions ask often."""

    def __init__(self, find: Callable[[K], V]) -> None:
        """Start empty."""
        super().__init__()
        self._find = find

    def __missing__(self, key: K) -> V:
        """Find a value, and remember it."""
        found = self[key] = self._find(key)
        return found
