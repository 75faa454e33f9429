"""One run: a pool under a load, by a policy."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from heterosis.arrivals import poisson_count
from heterosis.planning.pools import Pool
from heterosis.simulation import Arrival, Outcome, RequestClass, Simulator, Sizes, single_call, workload
from heterosis.studies.kairos.latencies import Runs, runs_of
from heterosis.studies.kairos.plans import STAGE, plan_of, service_of
from heterosis.studies.kairos.setting import MODELS, QuerySizes
from heterosis.terms import Plan

REQUESTS = 8_000
"""Queries of one run."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run; shares are 0..1. A violation is a query answered late, or not at all."""

    requests: int
    violations: float
    largest_decile_violations: float
    """The same among the tenth of the queries that have the most items."""
    p99_ms: float
    """Infinite where more than a hundredth was not answered."""


def at_load(
    model: str,
    policy: str,
    qps: float,
    *,
    pool: Pool | None = None,
    seed: int = 0,
    requests: int = REQUESTS,
    data: Path | None = None,
) -> Figures:
    """Offer ``qps`` queries per second to a pool (the model's own where none is given).

    The items of a query are independent, so that a policy may split it; of those compared ours alone does.
    Runs of one seed have the same queries in the same order at any load, by any policy: the gaps are scaled.
    """
    kind, runs = MODELS[model], runs_of(model, data)
    plan = plan_of(kind, pool or kind.pool, runs, policy, qps)
    outcome = simulate(plan, runs, QuerySizes(), seed=seed, requests=requests, divisible=True)
    violated, sizes = outcome.records.violated, outcome.records.sizes
    return Figures(
        requests=outcome.requests,
        violations=float(violated.mean()),
        largest_decile_violations=float(violated[sizes >= np.quantile(sizes, 0.9)].mean()),
        p99_ms=outcome.latency_ms(99),
    )


def simulate(
    plan: Plan, runs: Mapping[str, Runs], sizes: Sizes, *, seed: int, requests: int, divisible: bool = False
) -> Outcome:
    """Offer a plan of `plan_of` the load that it is for, with Poisson arrivals. What is ``divisible`` may be split."""
    arrivals = queries_of(plan, sizes, seed=seed, requests=requests, divisible=divisible)
    return Simulator(plan, seed=seed, service=service_of(plan, runs)).run(arrivals)


def queries_of(plan: Plan, sizes: Sizes, *, seed: int, requests: int, divisible: bool = False) -> list[Arrival]:
    """The queries of a run."""
    queries = RequestClass(shapes=(single_call(STAGE),), sizes=sizes, divisible=divisible)
    return workload(poisson_count(plan.rate_rps, requests, seed), [queries], seed=seed)
