"""Pools in the order of what they could serve, by few linear programs."""

from collections.abc import Iterator, Sequence

import numpy as np

from heterosis.planning.pools.enumeration import Pool
from heterosis.planning.pools.load import Load


def strongest_first(load: Load, pools: Sequence[Pool]) -> Iterator[tuple[float, Pool]]:
    """Pools with the highest rate that each could serve of a load, the highest first; none that serves nothing.

    The time prices of one pool solve the dual program of every other, and so bound it, too: only a pool whose turn has
    come by all prices known so far has its own program solved. Raise ValueError without pools.
    """
    if not pools:
        raise ValueError("there are no pools to choose from")
    counts = np.array(pools)
    bounds = np.full(len(pools), np.inf)
    solved = np.zeros(len(pools), dtype=bool)
    while True:
        first = int(bounds.argmax())
        if bounds[first] <= 0:
            return
        if solved[first]:
            yield float(bounds[first]), pools[first]
            bounds[first] = -np.inf
            continue
        exact = load.most(pools[first])
        bounds = np.minimum(bounds, counts @ np.array(exact.time_prices))
        bounds[first], solved[first] = exact.per_s, True
