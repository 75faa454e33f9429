"""Which pool serves a rate for the least: dollars (Ribbon's question, Li et al., SC'21) or watts.

A machine costs something by being there, its rent or its idle power, and may cost more while it is busy. Pools come one
price band after the other, so that few are looked at beyond the one that will do.
"""

import heapq
from collections.abc import Iterator

import numpy as np

from heterosis.planning.pools.enumeration import Pool, cost, pools_within
from heterosis.planning.pools.load import Load, least_upkeep

BAND = 1.05
"""Ratio of the ends of a band."""
WIDEST = 3
"""Pools up to so many times what the whole machines cost, all of them busy, that the linear program asks for."""


def cheapest_first(
    load: Load, rate: float, standing: tuple[float, ...], running: tuple[float, ...] | None = None
) -> Iterator[tuple[float, Pool]]:
    """Pools that could serve a rate of the load, with the least that each costs, in the order of that.

    ``standing`` costs of one machine of each type, and ``running`` ones of a busy one on top of those, in one unit.
    None comes where no type serves enough of the sizes in time; else up to `WIDEST` times the first possible pool.
    """
    least = least_upkeep(load, rate, standing)
    if least is None:
        return
    busy = None if running is None else least_upkeep(load, rate, running)
    rounded = tuple(int(np.ceil(count - 1e-9)) for count in least.busy)
    whole = cost(rounded, standing) + (0.0 if running is None else cost(rounded, running))
    base = busy.cost if busy else 0.0
    found: list[tuple[float, Pool]] = []
    prices: list[tuple[float, ...]] = []
    low, high = least.cost * (1 - 1e-9), max(least.cost * BAND, min(standing))
    while low + base < WIDEST * whole:
        for pool in pools_within(high, standing, least_base=0, above=low):
            bound = _bound(load, rate, pool, prices)
            upkeep = least_upkeep(load, rate, running, pool) if bound and running is not None else None
            if bound:
                heapq.heappush(found, (cost(pool, standing) + (upkeep.cost if upkeep else 0.0), pool))
        while found and found[0][0] <= high + base:
            yield heapq.heappop(found)
        low, high = high, high * BAND
    yield from sorted(found)


def _bound(load: Load, rate: float, pool: Pool, prices: list[tuple[float, ...]]) -> bool:
    """Whether a pool could serve the rate.

    Time prices of one pool bound all others: each solves the dual program, whose rows do not know the counts.
    """
    if any(cost(pool, each) < rate * (1 - 1e-9) for each in prices):
        return False
    bound = load.most(pool)
    if bound.per_s < rate * (1 - 1e-9):
        prices.append(bound.time_prices)
        return False
    return True
