"""Trying a plan in the simulator before it is used."""

from collections.abc import Callable

import numpy as np

from heterosis.arrivals import poisson
from heterosis.planning import Verdict
from heterosis.simulation import Simulator, workload
from heterosis.terms import PipelineGraph, Plan

SEEDS = (1, 2, 3)
REQUESTS = 1000
"""In each run: ten of them are slower than the 99th percentile."""
BIAS = 1.1
"""Run times are taken to be 10 % longer than profiled: a machine that serves has more to do than one that measures."""


def simulated(
    graph: PipelineGraph, tell: Callable[[str], object] = lambda _: None, *, crowding: float = 1.0
) -> Callable[[Plan], Verdict]:
    """Return a function that tries a plan under Poisson arrivals of its rate, on requests shaped like the samples.

    Where instances side by side were measured to take longer by a factor of ``crowding``, and that is more than what
    is added anyhow, run times are longer by as much. Its verdict is the median of several runs, each with a seed of its
    own; a request that was refused counts as missed.
    """

    def verify(plan: Plan) -> Verdict:
        tell("trying the plan in the simulator")
        runs = []
        for seed in SEEDS:
            arrivals = poisson(plan.rate_rps, REQUESTS / plan.rate_rps, seed)
            outcome = Simulator(plan, seed=seed, bias=max(BIAS, crowding)).run(workload(arrivals, graph, seed=seed))
            runs.append((outcome.latency_ms(plan.slo.percentile), outcome.attainment))
        latency_ms, attainment = np.median(np.array(runs), axis=0)
        return Verdict(latency_ms=float(latency_ms), attainment=float(attainment))

    return verify
