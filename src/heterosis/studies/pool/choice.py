"""The pool to rent: for a budget the one that serves most, for a load the one of least price or least power."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import msgspec

from heterosis.planning.pools import Pool, Scarcity, Search, cheapest_first, cost, pools_within, search, strongest_first
from heterosis.studies.pool.offer import Power
from heterosis.studies.pool.trials import Trials
from heterosis.terms.errors import HeterosisError, UsageError

MOST_POOLS = 200_000


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that was simulated."""

    pool: dict[str, int]
    price_per_hour: float
    bound: float
    """What no policy can better: the most queries per second, the least price, or the least watts."""
    measured: float | None
    """None where it serves the load too late, or no more load than the best before it."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A pool, what it achieves, and why it was chosen."""

    model: str
    policy: str
    objective: str
    """``load``, ``price`` or ``energy``."""
    budget: float | None
    rate_rps: float | None
    pool: dict[str, int]
    price_per_hour: float
    measured: float
    """Allowable queries per second, price per hour, or mean power in watts (modelled), as the objective is."""
    bound_rps: float
    """Queries per second that no policy can exceed on it."""
    one_more_rps: dict[str, float]
    """Queries per second by which one more machine of a type would raise that bound at the most."""
    tried: tuple[Tried, ...]
    too_few: dict[str, int]
    """So many machines of a type are too few, whatever else is rented: pools with no more were not simulated."""
    reach: float | None
    """Pools whose bound is no better than this were not simulated; None where all were."""


def most_load(trials: Trials, budget: float) -> Choice:
    """Find the pool within a budget (dollars an hour) that serves the most queries per second with 99 % in time."""
    found = list(islice(pools_within(budget, _prices(trials), least_base=0), MOST_POOLS + 1))
    if len(found) > MOST_POOLS:
        raise UsageError(
            f"${budget:g} an hour buy more than {MOST_POOLS} pools: choose for a part of it, or for a rate, or offer "
            "fewer types"
        )
    result = search(strongest_first(trials.load, found), trials.allowable_above)
    return _choice(trials, result, "load", budget, None, f"no pool for ${budget:g} an hour serves any load in time", {})


def least_price(trials: Trials, rate: float, budget: float | None = None) -> Choice:
    """Find the cheapest pool that serves a rate (queries per second) with 99 % in time."""
    prices = _prices(trials)

    def price(pool: Pool) -> float:
        return cost(pool, prices)

    return _least(trials, "price", rate, budget, cheapest_first(trials.load, rate, prices), price)


def least_power(trials: Trials, rate: float, power: dict[str, Power], budget: float | None = None) -> Choice:
    """Find the pool that serves a rate with 99 % in time on the least watts, idle machines included."""
    idle = tuple(each.idle_w for each in power.values())
    dynamic = tuple(each.active_w - each.idle_w for each in power.values())

    def watts(pool: Pool) -> float:
        return trials.power_w(pool, rate)

    return _least(trials, "energy", rate, budget, cheapest_first(trials.load, rate, idle, dynamic), watts)


def _least(
    trials: Trials,
    objective: str,
    rate: float,
    budget: float | None,
    bounded: Iterator[tuple[float, Pool]],
    spent: Callable[[Pool], float],
) -> Choice:
    prices = _prices(trials)
    affordable = ((bound, pool) for bound, pool in bounded if budget is None or cost(pool, prices) <= budget)
    scarcity = Scarcity(trials.load, rate, lambda pool: trials.holds(pool, rate))

    def measure(pool: Pool, record: float | None) -> float | None:
        """What no longer can be the least need not be shown to serve the load."""
        if record is None:
            return spent(pool) if scarcity.holds(pool) else None
        found = spent(pool)
        return found if found >= record or scarcity.holds(pool) else None

    found = search(scarcity.spare(affordable), measure, highest=False)
    within = "" if budget is None else f" for ${budget:g} an hour"
    nothing = f"no pool{within} serves {rate:g} queries per second with 99 % in time"
    return _choice(trials, found, objective, budget, rate, nothing, scarcity.too_few)


def _prices(trials: Trials) -> tuple[float, ...]:
    return tuple(trials.offer.prices.values())


def _choice(
    trials: Trials,
    found: Search,
    objective: str,
    budget: float | None,
    rate: float | None,
    nothing: str,
    too_few: Mapping[int, int],
) -> Choice:
    if found.best is None or found.best.measured is None:
        raise HeterosisError(nothing)
    names, prices = list(trials.offer.prices), _prices(trials)
    bound = trials.load.most(found.best.pool)
    return Choice(
        model=trials.offer.model,
        policy=trials.policy,
        objective=objective,
        budget=budget,
        rate_rps=rate,
        pool=dict(zip(names, found.best.pool, strict=True)),
        price_per_hour=cost(found.best.pool, prices),
        measured=found.best.measured,
        bound_rps=bound.per_s,
        one_more_rps=dict(zip(names, bound.time_prices, strict=True)),
        tried=tuple(
            Tried(
                pool=dict(zip(names, trial.pool, strict=True)),
                price_per_hour=cost(trial.pool, prices),
                bound=trial.bound,
                measured=trial.measured,
            )
            for trial in found.trials
        ),
        reach=found.reach,
        too_few={names[number]: most for number, most in too_few.items()},
    )
