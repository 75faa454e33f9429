"""Trying a plan in the simulator before it is used."""

from collections.abc import Callable, Iterator

import numpy as np

from heterosis.arrivals import poisson
from heterosis.planning import Verdict
from heterosis.simulation import Outcome, Setting, Simulator, workload
from heterosis.terms import PipelineGraph, Plan

STEADY = Setting()
SEEDS = (1, 2, 3)
REQUESTS = 1000
"""In each run: ten of them are slower than the 99th percentile."""
BIAS = 1.1
"""Run times are taken to be 10 % longer than profiled, where it was not measured how long they are when served: a
machine that serves has more to do than one that measures."""


def simulated(
    graph: PipelineGraph, tell: Callable[[str], object] = lambda _: None, *, crowding: float = 1.0
) -> Callable[[Plan], Verdict]:
    """Return a function that tries a plan under Poisson arrivals of its rate, on requests shaped like the samples.

    Where instances side by side were measured to take longer by a factor of ``crowding``, run times are longer by as
    much, if that is more than what is added anyhow; of those measured when served, for the share of the time in which
    there is something beside them. Its verdict is the median of several runs, each with a seed of its own; a request
    that was refused counts as missed.
    """

    def verify(plan: Plan) -> Verdict:
        tell("trying the plan in the simulator")
        outcomes = list(trials(plan, graph, crowding))
        latency_ms = np.median([each.latency_ms(plan.slo.percentile) for each in outcomes])
        return Verdict(
            latency_ms=float(latency_ms), attainment=float(np.median([each.attainment for each in outcomes]))
        )

    return verify


def trials(plan: Plan, graph: PipelineGraph, crowding: float = 1.0, setting: Setting = STEADY) -> Iterator[Outcome]:
    """Run what a plan is judged by."""
    beside = 1 + (crowding - 1) * plan.predicted.utilisation
    bias = beside if plan.overhead.stretch else max(BIAS, crowding)
    for seed in SEEDS:
        arrivals = poisson(plan.rate_rps, REQUESTS / plan.rate_rps, seed)
        yield Simulator(plan, seed=seed, bias=bias, setting=setting).run(workload(arrivals, graph, seed=seed))
