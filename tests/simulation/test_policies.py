"""Every policy in the simulator: what any of them must do, and what sets some of them apart."""

import numpy as np
import pytest

from heterosis.scheduling import validate
from heterosis.scheduling.policies import POLICIES
from heterosis.simulation import Outcome, Simulator, workload
from heterosis.testing import graph_of, make_plan

FAN = graph_of([("a", ()), *[("b", (0,))] * 3, ("a", (1, 2, 3))])
CALL = graph_of([("a", ())])


def simulate(policy: str, load: float, *, slots: int = 3, requests: int = 1500) -> Outcome:
    """Simulate single calls of 10 ms at a share of capacity; check the books at the end."""
    plan = make_plan({"a": 10.0}, slots=slots, max_batch=1, slo_ms=60.0, policy=policy)
    simulator = Simulator(plan)
    gaps = np.random.default_rng(1).exponential(0.01 / (slots * load), requests)
    outcome = simulator.run(workload(np.cumsum(gaps), CALL))
    validate(simulator.scheduler)
    assert outcome.requests == requests
    assert not simulator.scheduler.requests
    return outcome


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_serves_a_light_load_in_time(policy: str) -> None:
    """At a third of capacity next to no request is late, whatever the policy."""
    assert simulate(policy, 1 / 3).attainment > 0.98


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_ends_every_request_far_beyond_capacity(policy: str) -> None:
    """At twice the capacity each request is answered or refused, once."""
    simulate(policy, 2.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_runs_fan_out_and_joins(policy: str) -> None:
    """Two stages on shared slots, a fan-out and a join: all requests come through."""
    plan = make_plan({"a": 5.0, "b": 10.0}, slots=2, slo_ms=500.0, policy=policy)
    outcome = Simulator(plan).run(workload([0.1 * number for number in range(200)], FAN))
    assert len(outcome.latencies_s) == 200


def test_late_binding_beats_lines() -> None:
    """At 80 % of capacity, turns miss several times as many deadlines as one central queue."""
    missed = {policy: 1 - simulate(policy, 0.8, requests=6000).attainment for policy in ("round_robin", "fcfs")}
    assert missed["round_robin"] > 3 * missed["fcfs"]


def test_in_overload_ours_keeps_what_order_alone_loses() -> None:
    """At 1.5 times the capacity, refusing early keeps most of what can be kept; order alone keeps little."""
    kept = {policy: simulate(policy, 1.5, requests=4000).attainment for policy in ("heterosis", "least_laxity", "fcfs")}
    assert kept["heterosis"] > 0.55
    assert kept["heterosis"] > 4 * max(kept["least_laxity"], kept["fcfs"])
