"""Which machines to rent: pools within a budget, and KAIROS' upper bound on what a pool serves.

KAIROS (Li et al., HPDC'23, §5 and its public artifact). One type is the *base*: it meets the latency limit at every
size. The others, *auxiliary* types, meet it up to a cut-off. As published, the cut-off is the first measured size
that does exceed the limit, one cut-off holds for the whole pool (the largest of the types present), and waiting is
ignored: the figure ranks pools, and it is no bound in the strict sense (`bounds.throughput_bound` is a tighter one).
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Pool = tuple[int, ...]
"""Machines of each type, the base type first."""

_TOLERANCE = 1e-9


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a pool: sizes, the base type first wherever there is one figure for each type."""

    shares: tuple[float, ...]
    """Share of the requests that has each size, smallest size first."""
    run_s: tuple[tuple[float, ...], ...]
    """For each type, the mean run time at each size, in seconds."""
    limit_s: float
    """Latency that a request may take."""


def pools_within(budget: float, prices: Sequence[float], *, least_base: int = 1) -> Iterator[Pool]:
    """All pools that cost at most ``budget``; the number of base machines varies slowest.

    ``prices`` of one machine of each type, the base type first, in the unit of the budget; at least ``least_base``
    machines of the base type.
    """
    first, rest = prices[0], prices[1:]
    for count in range(least_base, _affordable(budget, first) + 1):
        yield from ((count, *others) for others in _combinations(budget - count * first, rest))


def upper_bound(load: Load, pool: Pool) -> float:
    """KAIROS' upper bound on the requests per second that a pool serves in time."""
    shares, base = np.array(load.shares), np.array(load.run_s[0])
    base_rate = float(1 / (shares @ base))
    present = [number for number, count in enumerate(pool) if number and count]
    if not present:
        return pool[0] * base_rate
    cut = max(_cut_off(load, number) for number in present)
    small = shares[: cut + 1].sum()
    auxiliary = sum(
        pool[number] * small / float(shares[: cut + 1] @ np.array(load.run_s[number][: cut + 1])) for number in present
    )
    if small >= 1 - _TOLERANCE:
        return float(auxiliary + pool[0] * base_rate)
    time_on_small = float(shares[: cut + 1] @ base[: cut + 1]) * base_rate
    large_rate = pool[0] * base_rate * (1 - small) / (1 - time_on_small)
    need = auxiliary * (1 - small) / small
    if need >= large_rate:
        return float(large_rate / (1 - small))
    return float(auxiliary / small + pool[0] * base_rate * (1 - need / large_rate))


def ranked(load: Load, pools: Sequence[Pool] | Iterator[Pool]) -> list[tuple[float, Pool]]:
    """Pools with their upper bounds, the highest first."""
    return sorted(((upper_bound(load, pool), pool) for pool in pools), reverse=True)


def _cut_off(load: Load, number: int) -> int:
    """Position of the first size at which a type exceeds the limit; the last position where it never does."""
    late: NDArray[np.intp] = np.flatnonzero(np.array(load.run_s[number]) > load.limit_s)
    return int(late[0]) if len(late) else len(load.shares) - 1


def _affordable(budget: float, price: float) -> int:
    return int(budget / price + _TOLERANCE)


def _combinations(budget: float, prices: Sequence[float]) -> Iterator[Pool]:
    if not prices:
        yield ()
        return
    for count in range(_affordable(budget, prices[0]) + 1):
        yield from ((count, *others) for others in _combinations(budget - count * prices[0], prices[1:]))
