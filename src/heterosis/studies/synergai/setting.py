"""The setting: a VM and two boards, jobs of some hundred queries each with a target of its own, four levels of load.

The engines and the workers are built from published figures (see `published`, `workers`). The paper's jobs are not
public; ours are stated here: an engine, a number of queries and a target are drawn independently and evenly for each
job, jobs arrive as a Poisson process, and a target is a multiple of the least time in which the fleet could do the job.
Run times are the modelled ones with lognormal noise of 5 %.

A board runs one job at a time. The VM comes in two ways: ``whole`` runs one job at a time, too, as we read the paper;
``shared`` runs jobs side by side, each on as many vCPUs as it has threads, and none slows another down (an assumption
in favour of sharing). Only there does a configuration of few threads leave room for other jobs.
"""

from functools import cache
from statistics import fmean
from typing import Final

import numpy as np

from heterosis.arrivals import poisson_count
from heterosis.simulation import Arrival, single_call
from heterosis.studies.synergai.published import ENGINES, X86_THREADS
from heterosis.studies.synergai.workers import IDLE_W, Choice, choices
from heterosis.terms import TracedRequest

WHOLE: Final = "whole"
SHARED: Final = "shared"
VMS: Final = (WHOLE, SHARED)
"""How the VM is used."""
LOADS: Final = {WHOLE: (0.5, 0.8, 1.0, 1.3), SHARED: (1.0, 1.5, 2.0, 2.5)}
"""Jobs a second as multiples of what the fleet can do with a whole VM; 1.0 is the same jobs in either way."""
JOBS: Final = 400
"""Jobs of one run."""
QUERIES: Final = (256, 512, 1024, 2048)
TARGETS: Final = (2.0, 3.0, 5.0, 8.0)
"""Targets as multiples of the least time of the job."""
NOISE: Final = 0.05
"""Standard deviation of the logarithm of a run time."""

_SHAPES: Final[dict[str, TracedRequest]] = {engine: single_call(engine) for engine in ENGINES}


def side_by_side(vm: str, choice: Choice) -> int:
    """How many jobs a worker runs at a time in a configuration."""
    return max(X86_THREADS) // choice.configuration.threads if vm == SHARED and choice.worker == "x86" else 1


@cache
def capacity_per_s() -> float:
    """Jobs a second of a fleet with a whole VM that is never idle, each worker in its fastest configurations."""
    found = 0.0
    for worker in IDLE_W:
        of = {engine: [each for each in choices(engine) if each.worker == worker] for engine in ENGINES}
        found += 1 / fmean(
            min(each.exec_s(queries) for each in of[engine]) for engine in ENGINES for queries in QUERIES
        )
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
