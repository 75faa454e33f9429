"""Counts over the last while, in memory that does not grow with what is counted."""

import math

SECOND_S, MINUTE_S, DAY_S = 1.0, 60.0, 86400.0


class Recent:
    """Sums of several figures over the last ``parts`` parts of ``part_s`` seconds each; time never runs backwards."""

    __slots__ = ("_figures", "_newest", "_part_s", "_parts")

    def __init__(self, part_s: float, parts: int, figures: int) -> None:
        """Start with nothing counted."""
        self._part_s, self._newest = part_s, 0
        self._parts: list[list[float]] = [[0.0] * figures for _ in range(parts)]
        self._figures = figures

    def add(self, now: float, *figures: float) -> None:
        """Add to what this moment's part has."""
        part = self._part(now)
        for number, figure in enumerate(figures):
            part[number] += figure

    def sums(self, now: float) -> tuple[float, ...]:
        """What was counted of late, the part that runs included."""
        self._part(now)
        return tuple(map(sum, zip(*self._parts, strict=True)))

    def _part(self, now: float) -> list[float]:
        number = math.floor(now / self._part_s)
        for passed in range(max(self._newest + 1, number - len(self._parts) + 1), number + 1):
            self._parts[passed % len(self._parts)] = [0.0] * self._figures
        self._newest = max(self._newest, number)
        return self._parts[self._newest % len(self._parts)]
