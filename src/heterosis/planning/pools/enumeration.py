"""Pools: how many machines of each type to rent, and which of them there are."""

import math
from collections.abc import Iterator, Sequence

Pool = tuple[int, ...]
"""Machines of each type; in KAIROS' setting, the base type first."""

_TOLERANCE = 1e-9


def cost(pool: Pool, prices: Sequence[float]) -> float:
    """Price of a pool, of the prices of one machine of each type."""
    return sum(count * price for count, price in zip(pool, prices, strict=True))


def pools_within(
    budget: float, prices: Sequence[float], *, least_base: int = 1, above: float = -math.inf
) -> Iterator[Pool]:
    """All pools that cost at most ``budget``, and more than ``above``; the number of the first type varies slowest.

    ``prices`` of one machine of each type, in the unit of the budget; at least ``least_base`` machines of the first
    type. The empty pool is one of them, where that is 0.
    """
    first, rest = prices[0], prices[1:]
    if not rest:
        least = math.floor(above / first + _TOLERANCE) + 1 if above / first > -_TOLERANCE else 0
        yield from ((count,) for count in range(max(least, least_base), _affordable(budget, first) + 1))
        return
    for count in range(least_base, _affordable(budget, first) + 1):
        paid = count * first
        yield from ((count, *others) for others in pools_within(budget - paid, rest, least_base=0, above=above - paid))


def _affordable(budget: float, price: float) -> int:
    return int(budget / price + _TOLERANCE)
