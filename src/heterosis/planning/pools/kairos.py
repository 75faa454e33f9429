"""KAIROS' choice of a pool (Li et al., HPDC'23, §5 and its public artifact): by an upper bound of what a pool serves.

One type is the *base*: it meets the latency limit at every size. The others, *auxiliary* types, meet it up to a
cut-off. As published, the cut-off is the first measured size that does exceed the limit, one cut-off holds for the
whole pool (the largest of the types present), and waiting is ignored: the figure ranks pools, and it is no bound in the
strict sense, since a policy may divide the sizes better and give up a hundredth of them (`Load.most` is one).

The rules that choose by it are reconstructed from the paper's text; the artifact has the bound alone.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from heterosis.planning.pools.enumeration import Pool
from heterosis.planning.pools.load import Load

TOP = 10
"""So many of the pools with the highest bound does the medoid rule choose among."""
_TOLERANCE = 1e-9


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What KAIROS profiles of a load: figures by type, the base type first, and by position of a cut-off."""

    base_per_s: float
    """Requests of all sizes that a base machine serves per second."""
    cut_offs: tuple[int, ...]
    """Position of each type's cut-off."""
    small: tuple[float, ...]
    """For each position, the share of the requests up to it."""
    base_busy: tuple[float, ...]
    """For each position, the share of a base machine's time that those take, were it given all sizes."""
    small_per_s: tuple[tuple[float, ...], ...]
    """For each type and position, how many of those a machine serves per second."""


def rates_of(load: Load) -> Rates:
    """Profile a load as KAIROS does, from its mean run times."""
    run_s = np.array(load.run_s)
    small, busy = np.cumsum(load.shares), np.cumsum(np.array(load.shares) * run_s, axis=1)
    late = run_s > load.limit_s
    return Rates(
        base_per_s=float(1 / busy[0, -1]),
        cut_offs=tuple(int(row.argmax()) if row.any() else len(row) - 1 for row in late),
        small=tuple(small.tolist()),
        base_busy=tuple((busy[0] / busy[0, -1]).tolist()),
        small_per_s=tuple(
            map(tuple, np.divide(small[None, :], busy, where=busy > 0, out=np.zeros(busy.shape)).tolist())
        ),
    )


def upper_bound(rates: Rates, pool: Pool) -> float:
    """KAIROS' upper bound on the requests per second that a pool serves in time."""
    alone = pool[0] * rates.base_per_s
    present = [number for number, count in enumerate(pool) if number and count]
    if not present:
        return alone
    cut = max(rates.cut_offs[number] for number in present)
    small, base_busy = rates.small[cut], rates.base_busy[cut]
    auxiliary = sum(pool[number] * rates.small_per_s[number][cut] for number in present)
    if small <= 0:
        return alone
    if small >= 1 - _TOLERANCE:
        return auxiliary + alone
    large_rate = alone * (1 - small) / (1 - base_busy)
    need = auxiliary * (1 - small) / small
    if need >= large_rate:
        return large_rate / (1 - small)
    return auxiliary / small + alone * (1 - need / large_rate)


def ranked(load: Load, pools: Iterable[Pool]) -> list[tuple[float, Pool]]:
    """Pools with their upper bounds, the highest first. Its first is what UB alone says."""
    rates = rates_of(load)
    return sorted(((upper_bound(rates, pool), pool) for pool in pools), reverse=True)


def medoid(pools: Sequence[Pool]) -> Pool:
    """The pool that is most like the others, by squared Euclidean distance; the first such.

    Of the `TOP` ranked pools, it is KAIROS' choice where nothing can be measured. KAIROS+, which measures, is `search`
    over `ranked` with an ``optimism`` of 1: in the order of the bound, until no bound exceeds the best measured.
    """
    counts = np.array(pools)
    apart = ((counts[:, None, :] - counts[None, :, :]) ** 2).sum(axis=(1, 2))
    return pools[int(apart.argmin())]
