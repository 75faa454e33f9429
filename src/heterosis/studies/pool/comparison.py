"""Rules compared on each model: which pool each chooses, and what that is allowed by the policy that serves."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from heterosis.planning.pools import (
    TOP,
    Pool,
    Search,
    medoid,
    pools_within,
    ranked,
    rates_of,
    search,
    strongest_first,
    upper_bound,
)
from heterosis.studies.kairos.setting import BUDGET_PER_HOUR, MODELS
from heterosis.studies.parallel import starmap
from heterosis.studies.pool.offer import kairos_offer
from heterosis.studies.pool.trials import REQUESTS, Trials
from heterosis.studies.study import Options, Step
from heterosis.terms.errors import HeterosisError

POLICIES = ("heterosis",)
"""The policy that serves, whatever pool was chosen."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule chooses for a model, and what that is allowed. Loads are queries per second."""

    model: str
    budget: float
    """Dollars an hour."""
    policy: str
    rule: str
    pool: Pool
    """Machines of each type, in the order of KAIROS' `TYPES`."""
    allowable_qps: float
    """Largest load with at most one per cent of violations."""
    best_of_all_qps: float
    """The same of the best pool within the budget: of each other one the bound (`Load.most`) is lower, or the
    simulator says so."""
    share_of_best: float
    upper_bound: float
    """KAIROS' own bound of the pool."""
    lp_bound: float
    """What no policy can exceed on it."""
    evaluations: int
    """Pools that the rule had simulated."""
    solve_s: float
    """Wall time of the rule, without the simulations; the one figure that differs from run to run."""
    seeds: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule chose."""

    rule: str
    pool: Pool
    evaluations: int
    solve_s: float


def compare(
    options: Options,
    step: Step,
    *,
    models: tuple[str, ...] = tuple(MODELS),
    budget: float = BUDGET_PER_HOUR,
    requests: int = REQUESTS,
) -> list[Row]:
    """Run the study; rows by model, then by policy, then by rule."""
    cells = [
        (model, policy, budget, options.seeds, requests, options.data)
        for model in models
        for policy in options.policies or POLICIES
    ]
    return [row for rows in starmap(rows_of, cells, options, step) for row in rows]


def rows_of(model: str, policy: str, budget: float, seeds: int, requests: int, data: Path | None) -> list[Row]:
    """Rows of one model and policy."""
    trials = Trials(kairos_offer(model, data), policy, seeds, requests=requests)
    pools = list(pools_within(budget, list(trials.offer.prices.values())))
    chosen = choices(trials, pools)
    best, _ = chosen_of(search(strongest_first(trials.load, pools), trials.allowable_above, optimism=1))
    best_qps = max(trials.allowable(pool).qps for pool in (best, *(each.pool for each in chosen)))
    rates = rates_of(trials.load)
    rows = []
    for each in chosen:
        qps = trials.allowable(each.pool).qps
        rows.append(
            Row(
                model=model,
                budget=budget,
                policy=policy,
                rule=each.rule,
                pool=each.pool,
                allowable_qps=qps,
                best_of_all_qps=best_qps,
                share_of_best=qps / best_qps,
                upper_bound=upper_bound(rates, each.pool),
                lp_bound=trials.load.most(each.pool).per_s,
                evaluations=each.evaluations,
                solve_s=each.solve_s,
                seeds=seeds,
            )
        )
    return rows


def choices(trials: Trials, pools: list[Pool]) -> list[Choice]:
    """What each rule chooses."""
    load, measure = trials.load, trials.allowable_above
    rules: dict[str, Callable[[], Pool | Search]] = {
        "homogeneous": lambda: max(pool for pool in pools if not any(pool[1:])),
        "kairos:medoid": lambda: medoid([pool for _, pool in ranked(load, pools)[:TOP]]),
        "kairos:ub-first": lambda: ranked(load, pools)[0][1],
        "kairos+": lambda: search(ranked(load, pools), measure, optimism=1),
        "heterosis": lambda: search(strongest_first(load, pools), measure),
    }
    found = []
    for rule, choose in rules.items():
        began, simulated_s = time.perf_counter(), trials.simulated_s
        chosen = choose()
        solve_s = time.perf_counter() - began - (trials.simulated_s - simulated_s)
        pool, evaluations = chosen_of(chosen) if isinstance(chosen, Search) else (chosen, 0)
        found.append(Choice(rule=rule, pool=pool, evaluations=evaluations, solve_s=solve_s))
    return found


def chosen_of(found: Search) -> tuple[Pool, int]:
    """The pool that a search found, and how many it measured."""
    if found.best is None:
        raise HeterosisError("no pool within the budget serves any load in time")
    return found.best.pool, len(found.trials)
