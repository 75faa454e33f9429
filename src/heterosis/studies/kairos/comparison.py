"""Policies compared on each model's pool: allowable load, bounds, and who suffers at the load that KAIROS allows."""

from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from heterosis.planning.bounds import throughput_bound
from heterosis.planning.pools import Load, upper_bound
from heterosis.scheduling.policies.drs import hill_climb
from heterosis.studies.kairos.latencies import runs_of
from heterosis.studies.kairos.load import REQUESTS, at_load
from heterosis.studies.kairos.search import Allowable, allowable_qps, rough_qps
from heterosis.studies.kairos.setting import ALLOWED_VIOLATIONS, MODELS, SIZES, TYPES, Pool, shares
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, Step

POLICIES = ("kairos", "heterosis", "clockwork", "earliest_completion", "drs", "fcfs")
"""Those that the study compares where it is not told otherwise."""
REFERENCE = "kairos"
TUNED = "drs"
"""Has a size threshold, which is tuned to each pool by its own hill climbing; any other policy runs as it is."""


class AtKairosLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of violations (0..1) at the load that KAIROS allows, means over the seeds."""

    violations: float
    largest_decile_violations: float
    """Among the tenth of the queries that have the most items."""


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
    """What no policy can exceed at mean run times."""
    lp_share: float
    """Allowable load as a share of ``lp_bound``."""
    at_kairos_load: AtKairosLoad | None
    """None where KAIROS is not among the policies compared."""
    tuned: str
    """The policy with the parameter that it was tuned to."""
    seeds: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the queries per second that a model's pool serves."""

    upper: float
    lp: float


def bounds_of(model: str, data: Path | None) -> Bounds:
    """KAIROS' bound and the linear program's, for a model's pool."""
    kind, runs = MODELS[model], runs_of(model, data)
    run_s = tuple(runs[each].mean_s() for each in TYPES)
    limit_s = kind.latency_ms / 1e3
    lp = throughput_bound(shares(), run_s, kind.pool, limit_s, violations=ALLOWED_VIOLATIONS)
    return Bounds(upper=upper_bound(Load(shares=shares(), run_s=run_s, limit_s=limit_s), kind.pool), lp=lp.per_s)


def compare(
    options: Options, step: Step, *, models: tuple[str, ...] = tuple(MODELS), requests: int = REQUESTS
) -> list[Row]:
    """Run the study; rows by model, then by policy in the order asked for."""
    policies = options.policies or POLICIES
    cells = [(model, policy) for policy in policies for model in models]
    bounds = {model: bounds_of(model, options.data) for model in models}
    found = starmap(
        search,
        [(model, policy, bounds[model].lp, options.seeds, requests, options.data) for model, policy in cells],
        options.jobs,
        step,
    )
    allowable = dict(zip(cells, found, strict=True))
    at_load: dict[tuple[str, str], AtKairosLoad] = {}
    if REFERENCE in policies:
        loads = {model: allowable[model, REFERENCE][1].qps for model in models}
        figures = starmap(
            violations_at,
            [
                (model, allowable[model, policy][0], loads[model], options.seeds, requests, options.data)
                for model, policy in cells
            ],
            options.jobs,
            step,
        )
        at_load = dict(zip(cells, figures, strict=True))
    return [
        Row(
            model=model,
            pool=MODELS[model].pool,
            policy=policy,
            allowable_qps=allowable[model, policy][1].qps,
            ci_low=allowable[model, policy][1].ci_low,
            ci_high=allowable[model, policy][1].ci_high,
            upper_bound=bounds[model].upper,
            lp_bound=bounds[model].lp,
            lp_share=allowable[model, policy][1].qps / bounds[model].lp,
            at_kairos_load=at_load.get((model, policy)),
            tuned=allowable[model, policy][0],
            seeds=options.seeds,
        )
        for model in models
        for policy in policies
    ]


def search(
    model: str, policy: str, bound: float, seeds: int, requests: int, data: Path | None
) -> tuple[str, Allowable]:
    """Find the allowable load of a policy, and what it was tuned to."""
    if policy == TUNED:

        def rough(threshold: int) -> float:
            return rough_qps(partial(_violations, model, f"{TUNED}:{threshold}", requests, data), bound)

        policy = f"{TUNED}:{hill_climb(rough, SIZES)}"
    return policy, allowable_qps(partial(_violations, model, policy, requests, data), bound, seeds)


def violations_at(model: str, policy: str, qps: float, seeds: int, requests: int, data: Path | None) -> AtKairosLoad:
    """Mean violations over the seeds at a load."""
    runs = [at_load(model, policy, qps, seed=seed, requests=requests, data=data) for seed in range(seeds)]
    return AtKairosLoad(
        violations=float(np.mean([run.violations for run in runs])),
        largest_decile_violations=float(np.mean([run.largest_decile_violations for run in runs])),
    )


def _violations(model: str, policy: str, requests: int, data: Path | None, qps: float, seed: int) -> float:
    return at_load(model, policy, qps, seed=seed, requests=requests, data=data).violations
