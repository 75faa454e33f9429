"""Decisions cost no more among many instances than among few."""

import cProfile
import pstats

import numpy as np
import pytest

from heterosis.simulation import Simulator, workload
from heterosis.testing import graph_of, make_plan

COUNTED = 300


@pytest.mark.parametrize("policy", ["fcfs", "heterosis"])
def test_a_request_takes_as_many_steps_among_a_thousand_instances_as_among_a_hundred(policy: str) -> None:
    """Function calls are counted, which a busy machine does not change; the load grows with the instances."""
    few, many = (steps_per_request(policy, instances) for instances in (100, 1000))
    assert many < 1.1 * few


def steps_per_request(policy: str, instances: int) -> float:
    """Count what the last requests of a run add, when the instances are busy."""
    shorter, longer = (_steps(policy, instances, count) for count in (instances, instances + COUNTED))
    return (longer - shorter) / COUNTED


def _steps(policy: str, instances: int, requests: int) -> int:
    plan = make_plan({"a": 10.0}, slots=instances, max_batch=1, policy=policy)
    times = np.cumsum(np.random.default_rng(0).exponential(0.01 / 0.7 / instances, requests))
    arrivals = workload(times, graph_of([("a", ())]))
    simulator = Simulator(plan)
    profile = cProfile.Profile()
    profile.enable()
    simulator.run(arrivals)
    profile.disable()
    steps: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return steps
