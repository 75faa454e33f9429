"""How long a request waits for slots: a queueing model, linear in the work that a plan gives to a request.

Requests arrive at random (Poisson). A slot that gives each request ``S`` ms and is busy for the share ``rho`` of the
time is an M/G/1 queue, first come, first served. With ``v`` the squared coefficient of variation of a request's work:

- a request waits with probability ``rho``;
- one that waits does so for ``S (1 + v) / (2 (1 - rho))`` on average (Pollaczek-Khinchine);
- that wait is taken as exponential: exact for exponential service, and in heavy traffic right for any (Kingman 1962).

So ``P(wait > t) = rho exp(-2 t (1 - rho) / (S (1 + v)))``, and the wait at percentile ``q`` is ``S`` times

    factor(rho) = (1 + v) / (2 (1 - rho)) * ln(rho / (1 - q)),   0 where rho <= 1 - q.

For a stage whose work is spread over ``c`` slots, ``S`` is a ``c``-th of it. Allen and Cunneen's approximation of M/G/c
(Allen, "Probability, Statistics, and Queueing Theory", 2nd ed. 1990, ch. 5) has the same decay, and Erlang's C(c, rho)
<= rho as the probability of waiting: on many slots the factor errs on the safe side. A request whose stages have slots
of their own queues for each; the sum of the percentiles is, again, safe.

For a fixed ``rho`` the wait is linear in ``S``, which is what the optimiser needs: it picks ``rho`` from a grid, keeps
every slot's utilisation below, and pays the wait at it.
"""

import math

import numpy as np

from heterosis.terms import PipelineGraph

HIGHEST = 0.9
"""No slot is planned to be busier than this: beyond, the wait explodes on the least misprediction."""

_GRID = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, HIGHEST)


def utilisation_grid(percentile: float) -> tuple[float, ...]:
    """Return the utilisations to plan for, ascending. Up to the first, nobody within the percentile waits."""
    free = min(1 - percentile / 100, HIGHEST)
    return (free, *(rho for rho in _GRID if rho > free))


def wait_factor(utilisation: float, percentile: float, variation: float) -> float:
    """Return the wait at a percentile, as a multiple of the time that a slot gives to a request."""
    late = 1 - percentile / 100
    if utilisation <= late:
        return 0.0
    if utilisation >= 1:
        return math.inf
    return (1 + variation) / (2 * (1 - utilisation)) * math.log(utilisation / late)


def work_variation(graph: PipelineGraph) -> float:
    """Return the squared coefficient of variation of a request's work, from how often the samples call each stage.

    A call weighs what the stage's calls took while tracing, or, where that is unknown, the same for all stages.
    """
    counts = {stage: np.array(graph.fan_out(stage).counts, dtype=float) for stage in graph.stages}
    shares = graph.time_share or dict.fromkeys(graph.stages, 1.0)
    work = sum(
        (shares.get(stage, 0.0) * count / count.mean() for stage, count in counts.items() if count.any()),
        start=np.zeros(len(graph.requests)),
    )
    mean = float(work.mean())
    return float(work.var()) / mean**2 if mean > 0 else 0.0
