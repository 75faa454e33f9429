"""One run: a pool under a load, by a policy."""

from pathlib import Path

import msgspec
import numpy as np

from heterosis.arrivals import poisson_count
from heterosis.simulation import RequestClass, Simulator, single_call, workload
from heterosis.studies.kairos.latencies import runs_of
from heterosis.studies.kairos.plans import STAGE, plan_of, service_of
from heterosis.studies.kairos.setting import MODELS, Pool, QuerySizes

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

    Runs of one seed have the same queries in the same order at any load, by any policy: the gaps are scaled.
    """
    kind = MODELS[model]
    runs = runs_of(model, data)
    plan = plan_of(kind, pool or kind.pool, runs, policy, qps)
    queries = RequestClass(shapes=(single_call(STAGE),), sizes=QuerySizes())
    arrivals = workload(poisson_count(qps, requests, seed), [queries], seed=seed)
    outcome = Simulator(plan, seed=seed, service=service_of(plan, runs)).run(arrivals)
    violated, sizes = outcome.records.violated, outcome.records.sizes
    return Figures(
        requests=outcome.requests,
        violations=float(violated.mean()),
        largest_decile_violations=float(violated[sizes >= np.quantile(sizes, 0.9)].mean()),
        p99_ms=outcome.latency_ms(99),
    )
