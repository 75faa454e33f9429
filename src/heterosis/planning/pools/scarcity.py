"""Machine types that no other replaces: where there are too few of one, no number of others helps.

A linear program does not see that few machines keep their requests waiting more than many do. So once a pool turns out
to be too slow, one is tried with as many machines of the other types as one could wish for; if that is too slow as
well, so is every pool with no more machines of the type.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from heterosis.planning.division import chances_of
from heterosis.planning.pools.enumeration import Pool
from heterosis.planning.pools.load import Load, least_upkeep

AMPLE, SPARE = 2, 4
"""Machines of every other type: a multiple of those kept busy by all sizes that it serves in time, and some more."""


class Scarcity:
    """What is known of how many machines of each type are too few to serve a rate."""

    def __init__(self, load: Load, rate: float, holds: Callable[[Pool], bool]) -> None:
        """Take the load, its rate, and the test whether a pool serves that."""
        self._holds = holds
        even = (1.0,) * len(load.run_s)
        self._needed = [
            number for number in range(len(even)) if least_upkeep(_without(load, number), rate, even) is None
        ]
        in_time = np.array(load.run_s) <= load.limit_s
        busy = rate * (np.array(load.shares) * np.array(load.run_s) * in_time).sum(axis=1)
        self._ample = [int(np.ceil(AMPLE * each)) + SPARE for each in busy]
        self.too_few: dict[int, int] = {}
        """By type, the most machines that are too few, whatever else is rented."""
        self._enough: dict[int, int] = {}

    def spare(self, bounded: Iterable[tuple[float, Pool]]) -> Iterator[tuple[float, Pool]]:
        """Leave out the pools that are known to lack a type, as more becomes known."""
        for bound, pool in bounded:
            if all(pool[number] > most for number, most in self.too_few.items()):
                yield bound, pool

    def holds(self, pool: Pool) -> bool:
        """Test a pool, and learn from one that is too slow."""
        if self._holds(pool):
            return True
        for number in self._needed:
            if pool[number] < self._enough.get(number, pool[number] + 1):
                ample = tuple(
                    count if each == number else max(count, self._ample[each]) for each, count in enumerate(pool)
                )
                known = self._enough if self._holds(ample) else self.too_few
                known[number] = pool[number]
        return False


def _without(load: Load, number: int) -> Load:
    """The load where a type never serves anything in time."""
    chances = chances_of(np.array(load.run_s), load.limit_s, load.chances).copy()
    chances[number] = 0
    return msgspec.structs.replace(load, chances=tuple(map(tuple, chances.tolist())))
