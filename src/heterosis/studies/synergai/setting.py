"""The setting: a VM and two boards, jobs of some hundred queries each with a target of its own, four levels of load.

The engines and the workers are built from published figures (see `published`, `workers`). The paper's jobs are not
public; ours are stated here: an engine, a number of queries and a target are drawn independently and evenly for each
job, jobs arrive as a Poisson process, and a target is a multiple of the least time in which the fleet could do the job.
Run times are the modelled ones with lognormal noise of 5 %. A worker runs one job at a time.
"""

from functools import cache
from statistics import fmean
from typing import Final

import numpy as np

from heterosis.arrivals import poisson_count
from heterosis.simulation import Arrival, single_call
from heterosis.studies.synergai.published import ENGINES
from heterosis.studies.synergai.workers import IDLE_W, Choice, choices
from heterosis.terms import (
    Energy,
    Latency,
    OperatingPoint,
    Placement,
    Plan,
    Prediction,
    Quality,
    Slo,
    StagePlan,
    TracedRequest,
    Variant,
)

LOADS: Final = (0.5, 0.8, 1.0, 1.3)
"""Shares of the fleet's capacity."""
JOBS: Final = 400
"""Jobs of one run."""
QUERIES: Final = (256, 512, 1024, 2048)
TARGETS: Final = (2.0, 3.0, 5.0, 8.0)
"""Targets as multiples of the least time of the job."""
NOISE: Final = 0.05
"""Standard deviation of the logarithm of a run time."""
CHOSEN: Final = "chosen"
"""All configurations are planned, and the policy chooses one for each job."""
STATIC: Final = {"fastest": 1.0, "within 1.25x": 1.25, "within 2x": 2.0, "frugal": float("inf")}
"""Static settings to choose the best from, by name: each engine has one configuration on each worker, the one of least
energy among those that take at most so many times as long as its fastest there."""

_P95, _P99 = 1.645, 2.326  # standard normal quantiles
_TYPICAL = int(fmean(QUERIES))
_SHAPES: Final[dict[str, TracedRequest]] = {engine: single_call(engine) for engine in ENGINES}


def capacity_per_s() -> float:
    """Jobs a second of a fleet that is never idle, where each worker runs the mix of jobs in its fastest ways."""
    found = 0.0
    for worker in IDLE_W:
        fastest = [next(each for each in choices(engine) if each.worker == worker) for engine in ENGINES]
        found += 1 / fmean(each.exec_s(queries) for each in fastest for queries in QUERIES)
    return found


@cache
def least_s(engine: str, queries: int) -> float:
    """The least time in which any worker does a job."""
    return min(each.exec_s(queries) for each in choices(engine))


def arrivals(load: float, seed: int, jobs: int = JOBS) -> list[Arrival]:
    """Draw the jobs of one run, in order, the class of each named after its engine."""
    rng = np.random.default_rng([seed, 2])  # not the stream that draws the moments
    drawn = []
    for at in poisson_count(load * capacity_per_s(), jobs, seed):
        engine, queries, target = (str(rng.choice(list(ENGINES))), int(rng.choice(QUERIES)), float(rng.choice(TARGETS)))
        limit_ms = target * least_s(engine, queries) * 1e3
        drawn.append(Arrival(at, _SHAPES[engine], queries, engine, limit_ms))
    return drawn


def make_plan(policy: str, load: float, configuration: str) -> Plan:
    """Plan what may run: everything (`CHOSEN`), or one of the `STATIC` settings. Those of a worker share its slot."""
    planned = [
        each
        for engine in ENGINES
        for each in (choices(engine) if configuration == CHOSEN else _static(engine, configuration))
    ]
    rate = load * capacity_per_s()
    return Plan(
        pipeline="synergai",
        slo=Slo(latency_ms=max(TARGETS) * 1e3 * max(least_s(engine, max(QUERIES)) for engine in ENGINES)),
        rate_rps=rate,
        policy=policy,
        stages=tuple(_stage(engine, rate / len(ENGINES)) for engine in ENGINES),
        placements=tuple(_placement(each) for each in planned),
        points=tuple(_point(each, queries) for each in planned for queries in (1, *QUERIES)),
        predicted=Prediction(latency_ms=0.0),
    )


def _static(engine: str, name: str) -> list[Choice]:
    found = []
    for worker in IDLE_W:
        of = [each for each in choices(engine) if each.worker == worker]
        limit = STATIC[name] * min(each.exec_s(_TYPICAL) for each in of)
        found.append(
            min((each for each in of if each.exec_s(_TYPICAL) <= limit), key=lambda each: each.dynamic_j(_TYPICAL))
        )
    return found


def _stage(engine: str, demand_per_s: float) -> StagePlan:
    variant = Variant(stage=engine, model=engine, engine="tflite", precision="fp32", artifact="", digest=engine)
    budget_ms = fmean(TARGETS) * 1e3 * least_s(engine, _TYPICAL)
    return StagePlan(
        stage=engine, variant=variant, budget_ms=budget_ms, tail_ms=0.0, demand_per_s=demand_per_s, utilisation=0.0
    )


def _placement(choice: Choice) -> Placement:
    made_of = choice.configuration
    return Placement(
        instance=f"{made_of.stage}@{choice.worker}/{made_of.power_mode}/{made_of.threads}",
        configuration=made_of,
        max_batch=1,
        node=choice.worker,
        device=choice.worker,
        slots=(0,),
    )


def _point(choice: Choice, queries: int) -> OperatingPoint:
    mean_ms = choice.exec_s(queries) * 1e3
    median_ms = mean_ms * float(np.exp(-(NOISE**2) / 2))
    return OperatingPoint(
        configuration=choice.configuration,
        batch=queries,
        latency=Latency(
            mean_ms=mean_ms,
            p50_ms=median_ms,
            p95_ms=median_ms * float(np.exp(_P95 * NOISE)),
            p99_ms=median_ms * float(np.exp(_P99 * NOISE)),
        ),
        cpu_ms=mean_ms * choice.configuration.threads,
        dynamic_energy=Energy(choice.dynamic_j(queries), Quality.MODELLED),
    )
