"""What a server adds to a request, by what the simulator says of it."""

import numpy as np
import pytest

from heterosis.catalogue import open_fleet
from heterosis.planning.fleet import allot, to_plan
from heterosis.simulation import Arrival, Simulator
from heterosis.workflow.rehearsal.overhead import APART_S, overhead_of
from heterosis.workflow.rehearsal.setting import joint_task, published

RACK = open_fleet("edge-rack")


@pytest.mark.parametrize(("added_ms", "found_ms"), [(7.0, 7.0), (-50.0, 0.0)])
def test_what_requests_take_beyond_what_is_simulated(added_ms: float, found_ms: float) -> None:
    """On average over unlike requests; and never less than nothing."""
    task = joint_task(published("traffic", RACK, 5.0), RACK, 60.0)
    answer = allot(task)
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    shapes = task.workloads[0].graph.requests
    arrivals = [Arrival(APART_S * number, shape, pipeline="traffic") for number, shape in enumerate(shapes)]
    taken_ms = np.mean([1e3 * Simulator(plan, seed=seed).run(arrivals).records.latencies for seed in range(20, 30)], 0)
    asked = [("traffic", position, float(each) + added_ms) for position, each in enumerate(taken_ms)]
    overhead = overhead_of(task, plan, asked)
    assert overhead.wall_ms == pytest.approx(found_ms, abs=1.5)
    assert overhead.requests == len(shapes)
