"""Policies compared on each model's pool: allowable load, bounds, and who suffers at the load that KAIROS allows."""

import itertools
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from heterosis.planning.pools import Load, Pool, rates_of, upper_bound
from heterosis.scheduling.policies.drs import hill_climb
from heterosis.studies.kairos.clairvoyant import least_lost
from heterosis.studies.kairos.latencies import runs_of
from heterosis.studies.kairos.load import REQUESTS, at_load
from heterosis.studies.kairos.search import Allowable, allowable_qps, rough_qps
from heterosis.studies.kairos.setting import ALLOWED_VIOLATIONS, MODELS, SIZES, TYPES, shares
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, Step

POLICIES = ("kairos", "heterosis", "heterosis:without_splitting", "clockwork", "earliest_completion", "drs", "fcfs")
"""Those that the study compares where it is not told otherwise."""
REFERENCE = "kairos"
HOMOGENEOUS: Pool = (4, 0, 0, 0)
"""The pool of base machines alone that the budget buys."""
SHORT = 8
"""A short run has this part of the queries; violations by as many per cent there are more than one per cent in all."""
TUNED = "drs"
"""Has a size threshold, which is tuned to each pool by its own hill climbing; any other policy runs as it is."""


class AtKairosLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of violations (0..1) at the load that KAIROS allows, means over the seeds."""

    violations: float
    largest_decile_violations: float
    """Among the tenth of the queries that have the most items."""
    largest_decile_bound: float | None
    """The least that anybody loses of these who splits none, where that can be found (see `clairvoyant`)."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A policy on a model's pool. Loads are queries per second."""

    model: str
    pool: Pool
    """Machines of each type, in the order of `TYPES`."""
    policy: str
    allowable_qps: float
    """Largest load with at most one per cent of violations."""
    ci_low: float | None
    ci_high: float | None
    """Its 95 % interval; None with one seed."""
    upper_bound: float
    """KAIROS' own bound of the pool."""
    lp_bound: float
    """What no policy can exceed at mean run times that runs each query on one machine."""
    lp_share: float
    """Allowable load as a share of ``lp_bound``."""
    homogeneous_qps: float
    """Allowable load of as many base machines as the budget buys, first come, first served."""
    over_kairos: float | None
    """Allowable load over that of KAIROS on the same queries."""
    at_kairos_load: AtKairosLoad | None
    """This and ``over_kairos`` are None where KAIROS is not among the policies compared, or allows no load."""
    tuned: str
    """The policy with the parameter that it was tuned to."""
    seeds: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the queries per second that a model's pool serves."""

    upper: float
    lp: float


def bounds_of(model: str, data: Path | None, pool: Pool | None = None) -> Bounds:
    """KAIROS' bound and the linear program's, for a pool: the model's own where none is given."""
    kind, runs = MODELS[model], runs_of(model, data)
    pool = pool or kind.pool
    run_s = tuple(runs[each].mean_s() for each in TYPES)
    load = Load(shares=shares(), run_s=run_s, limit_s=kind.latency_ms / 1e3, violations=ALLOWED_VIOLATIONS)
    return Bounds(upper=upper_bound(rates_of(load), pool), lp=load.most(pool).per_s)


def compare(
    options: Options, step: Step, *, models: tuple[str, ...] = tuple(MODELS), requests: int = REQUESTS
) -> list[Row]:
    """Run the study; rows by model, then by policy in the order asked for."""
    policies = options.policies or POLICIES
    cells = [(model, policy) for policy in policies for model in models]
    bounds = {model: bounds_of(model, options.data) for model in models}
    alike = [(model, HOMOGENEOUS) for model in models]
    found = starmap(
        search,
        [(*cell, MODELS[cell[0]].pool, options.seeds, requests, options.data) for cell in cells]
        + [(model, "fcfs", pool, options.seeds, requests, options.data) for model, pool in alike],
        options,
        step,
    )
    searched: dict[tuple[str, str | Pool], Searched] = dict(zip([*cells, *alike], found, strict=True))
    loads = {model: searched[model, REFERENCE].allowable.qps for model in models if REFERENCE in policies}
    loads = {model: qps for model, qps in loads.items() if qps}
    compared = [cell for cell in cells if cell[0] in loads]
    figures = starmap(
        violations_at,
        [
            (model, searched[model, policy].tuned, loads[model], options.seeds, requests, options.data)
            for model, policy in compared
        ],
        options,
        step,
    )
    at_kairos_load = dict(zip(compared, figures, strict=True))
    rows = []
    for model, policy in itertools.product(models, policies):
        allowable = searched[model, policy].allowable
        row = Row(
            model=model,
            pool=MODELS[model].pool,
            policy=policy,
            allowable_qps=allowable.qps,
            ci_low=allowable.ci_low,
            ci_high=allowable.ci_high,
            upper_bound=bounds[model].upper,
            lp_bound=bounds[model].lp,
            lp_share=allowable.qps / bounds[model].lp,
            homogeneous_qps=searched[model, HOMOGENEOUS].allowable.qps,
            over_kairos=allowable.qps / loads[model] if model in loads else None,
            at_kairos_load=at_kairos_load.get((model, policy)),
            tuned=searched[model, policy].tuned,
            seeds=options.seeds,
        )
        rows.append(row)
    return rows


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What the search found for a policy on a model's pool."""

    tuned: str
    """The policy with the parameter that it was tuned to."""
    allowable: Allowable


def search(model: str, policy: str, pool: Pool, seeds: int, requests: int, data: Path | None) -> Searched:
    """Find the allowable load of a policy on a pool, tuned where it has something to tune."""
    bound = bounds_of(model, data, pool).lp

    def late(policy: str, qps: float, seed: int, count: int = requests) -> float:
        return at_load(model, policy, qps, pool=pool, seed=seed, requests=count, data=data).violations

    def roughly(policy: str, qps: float, seed: int) -> float:
        """Where a short run is far beyond what is allowed, spare the whole one."""
        short = late(policy, qps, seed, -(-requests // SHORT))
        return short if short > SHORT * ALLOWED_VIOLATIONS else late(policy, qps, seed)

    def rough(policy: str) -> float:
        return rough_qps(partial(roughly, policy), bound)

    if policy == TUNED:
        policy = f"{TUNED}:{hill_climb(lambda threshold: rough(f'{TUNED}:{threshold}'), SIZES)}"
    return Searched(tuned=policy, allowable=allowable_qps(partial(late, policy), rough(policy), seeds))


def violations_at(model: str, policy: str, qps: float, seeds: int, requests: int, data: Path | None) -> AtKairosLoad:
    """Mean violations over the seeds at a load."""
    runs = [at_load(model, policy, qps, seed=seed, requests=requests, data=data) for seed in range(seeds)]
    least = [least_lost(model, qps, seed=seed, requests=requests, data=data) for seed in range(seeds)]
    known = [each for each in least if each is not None]
    return AtKairosLoad(
        violations=float(np.mean([run.violations for run in runs])),
        largest_decile_violations=float(np.mean([run.largest_decile_violations for run in runs])),
        largest_decile_bound=float(np.mean(known)) if known else None,
    )
