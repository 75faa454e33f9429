"""How fast the scheduling core decides: simulated requests per second on one core, policy by policy."""

import time

import numpy as np

from heterosis.scheduling.policies import POLICIES
from heterosis.simulation import Simulator, workload
from heterosis.testing import graph_of, make_plan

REQUESTS = 10_000
SLOTS = 16
LOAD = 0.7


def run() -> dict[str, float]:
    """Simulate one stage on 16 instances at 70 % load under each policy."""
    figures = {}
    graph = graph_of([("a", ())])
    rate = LOAD * SLOTS / 0.01
    arrivals = list(np.cumsum(np.random.default_rng(0).exponential(1 / rate, REQUESTS)))
    for policy in POLICIES:
        plan = make_plan({"a": 10.0}, slots=SLOTS, max_batch=1, policy=policy)
        simulator = Simulator(plan)
        started = time.perf_counter()
        outcome = simulator.run(workload(arrivals, graph))
        took = time.perf_counter() - started
        assert outcome.requests == REQUESTS
        figures[f"{policy}: simulated requests/s"] = REQUESTS / took
    return figures
