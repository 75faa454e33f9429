"""The fewest large queries that anybody can lose who splits none: a bound for one who knows arrivals and run times.

Some queries are so large that of a pool only its base machine can run them in time. Where there is one such machine,
serve these queries alone: all have the same time from arrival to deadline, so who comes first is due first, and the
fewest late jobs of one machine with such agreeable dates are found exactly in polynomial time (Kise, Ibaraki and Mine,
"A solvable case of the one-machine scheduling problem with ready and due times", Operations Research 26(1), 1978).

A run time is drawn once for each query and machine type. A query runs on one machine once, so for whoever does not know
the draws they are as good as those of the simulator: on average no policy loses fewer of these queries than the bound.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heterosis.studies.kairos.latencies import runs_of
from heterosis.studies.kairos.load import REQUESTS, queries_of
from heterosis.studies.kairos.plans import configuration_of, plan_of, service_of
from heterosis.studies.kairos.setting import MODELS, TYPES, QuerySizes


def least_lost(
    model: str, qps: float, *, seed: int = 0, requests: int = REQUESTS, data: Path | None = None
) -> float | None:
    """Share (0..1) of the largest tenth of the queries of `load.at_load` that is lost at the least.

    None for a pool of several base machines, for which this is no solvable case.
    """
    kind, runs = MODELS[model], runs_of(model, data)
    if kind.pool[0] != 1:
        return None
    plan = plan_of(kind, kind.pool, runs, "fcfs", qps)
    service, rng = service_of(plan, runs), np.random.default_rng(seed)
    base, *others = (configuration_of(of) for of, count in zip(TYPES, kind.pool, strict=True) if count)
    limit_s = kind.latency_ms / 1e3
    queries = queries_of(plan, QuerySizes(), seed=seed, requests=requests)
    least = np.quantile([query.size for query in queries], 0.9)
    largest = [query for query in queries if query.size >= least]
    released, run_s = [], []
    for query in largest:
        if all(service.draw(other, query.size, rng) > limit_s for other in others):
            released.append(query.at)
            run_s.append(service.draw(base, query.size, rng))
    return fewest_late(released, run_s, limit_s) / len(largest)


def fewest_late(released: Sequence[float], run_s: Sequence[float], limit_s: float) -> int:
    """The fewest jobs that one machine ends later than ``limit_s`` after their release, in this order; no preemption.

    Jobs are taken in the order of their dates. Where one would be late, that one of those kept is given up without
    which the rest ends soonest; what ran before the machine was last idle makes no difference to that.
    """
    late, end = 0, -math.inf
    kept: list[tuple[float, float]] = []
    for begin, run in zip(released, run_s, strict=True):
        if end <= begin:
            kept = []
        kept.append((begin, run))
        end = max(end, begin) + run
        if end > begin + limit_s:
            late += 1
            end, given_up = min((_end(kept, without), without) for without in range(len(kept)))
            del kept[given_up]
    return late


def _end(jobs: Sequence[tuple[float, float]], without: int) -> float:
    end = -math.inf
    for number, (begin, run) in enumerate(jobs):
        if number != without:
            end = max(end, begin) + run
    return end
