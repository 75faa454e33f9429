"""Search for the best pool: bounds say what may be worth a simulation, simulations decide.

Pools come with the bound that is best first. One is measured as long as its bound leaves room for it to be better than
the best measured one; ours bounds by `Load.most`, in which each type has its own cut-off.
"""

import operator
from collections.abc import Callable, Iterable

import msgspec

from heterosis.planning.pools.enumeration import Pool

OPTIMISM = 0.5
"""What the best measured pool loses to its bound comes of waiting, which no pool is without: half of it is taken to be
lost by any other, too."""

Measure = Callable[[Pool, float | None], float | None]
"""What a pool achieves; None where that is not better than the best measured so far, which it is told."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that was measured."""

    pool: Pool
    bound: float
    measured: float | None
    """None where it was not better than all before it."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """How a search went."""

    best: Trial | None
    """None where no pool achieves what is asked for."""
    trials: tuple[Trial, ...]
    """What was measured, in this order."""
    reach: float | None = None
    """The bound below which (above, for costs) pools were not measured; None where all were."""


def search(
    bounded: Iterable[tuple[float, Pool]], measure: Measure, *, highest: bool = True, optimism: float = OPTIMISM
) -> Search:
    """Measure pools in order, best bound first, while one may still be better than the best measured.

    The best is the highest measured figure, or the lowest. An ``optimism`` of 1 takes a pool to reach its bound, so
    that none better is missed where the bounds are valid; 0 to stay as far from it as the best measured does.
    """
    better: Callable[[float, float], bool] = operator.gt if highest else operator.lt
    best: Trial | None = None
    record: float | None = None
    trials: list[Trial] = []
    for bound, pool in bounded:
        if best is not None and record is not None:
            share = 1 - (1 - optimism) * (1 - record / best.bound)
            if not better(bound * share, record):
                return Search(best=best, trials=tuple(trials), reach=record / share)
        trial = Trial(pool=pool, bound=bound, measured=measure(pool, record))
        trials.append(trial)
        if trial.measured is not None and (record is None or better(trial.measured, record)):
            best, record = trial, trial.measured
    return Search(best=best, trials=tuple(trials))
