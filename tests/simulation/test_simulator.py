"""The simulator: the same scheduler, in virtual time."""

from itertools import accumulate, count, islice, repeat

import numpy as np
import pytest

from heterosis.scheduling import Refusal, validate
from heterosis.simulation import Simulator, stream, workload
from heterosis.simulation.kernel import Kernel
from heterosis.testing import graph_of, make_plan

CHAIN = graph_of([("a", ()), ("b", (0,))])
FAN = graph_of([("a", ()), *[("b", (0,))] * 4], [("a", ())])


def poisson(rate: float, count: int, seed: int = 0) -> list[float]:
    """Arrival times of a Poisson process."""
    return list(np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count)))


def test_the_kernel_jumps_to_events_in_order_of_time_then_of_setting() -> None:
    """Equal times keep the order in which they were set."""
    kernel: Kernel[str] = Kernel()
    for time, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        kernel.at(time, name)
    assert [(kernel.next(), kernel.now) for _ in range(3)] == [("a", 1.0), ("b", 1.0), ("c", 2.0)]
    assert kernel.next() is None


def test_an_idle_system_takes_the_sum_of_its_stages() -> None:
    """Without a queue, latency is what the stages take one after the other."""
    outcome = Simulator(make_plan({"a": 10, "b": 20})).run(workload(list(accumulate(repeat(1.0, 200))), CHAIN))
    assert outcome.attainment == 1.0
    assert outcome.latency_ms(50) == pytest.approx(30, rel=0.1)
    assert outcome.dynamic_joules == pytest.approx(200 * 0.03, rel=0.05)  # 1 W for as long as it really runs


def test_every_request_has_exactly_one_outcome_also_far_beyond_capacity() -> None:
    """Answered and refused add up; nothing is left behind in the scheduler."""
    simulator = Simulator(make_plan({"a": 10, "b": 10}))
    outcome = simulator.run(workload(poisson(500, 3000), FAN))
    assert outcome.requests == 3000
    assert outcome.refusals[Refusal.OVERLOAD] > 0
    assert not simulator.scheduler.requests
    assert not simulator.scheduler.batches
    validate(simulator.scheduler)


def test_goodput_in_overload_stays_near_capacity() -> None:
    """At three times the load, at least 85 % of the goodput at full load is kept; FCFS keeps next to nothing."""
    goodput = {}
    for policy in ("heterosis", "fcfs"):
        plan = make_plan({"a": 10, "b": 10}, max_batch=1, policy=policy)
        for load in (100, 300):
            outcome = Simulator(plan).run(workload(poisson(load, 4000), CHAIN))
            goodput[policy, load] = outcome.attainment * outcome.requests / outcome.duration_s
    assert goodput["heterosis", 300] >= 0.85 * goodput["heterosis", 100]
    assert goodput["fcfs", 300] < 0.2 * goodput["heterosis", 300]


def test_equal_seeds_give_equal_outcomes() -> None:
    """A run is a function of its arguments."""
    runs = [
        Simulator(make_plan({"a": 10, "b": 10}), seed=seed).run(workload(poisson(60, 500), FAN)) for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_bias_slows_every_batch() -> None:
    """Run times 15 % above the profile show in the latency."""
    plain, slow = (
        Simulator(make_plan({"a": 10, "b": 20}), bias=bias).run(workload(list(accumulate(repeat(1.0, 100))), CHAIN))
        for bias in (1.0, 1.15)
    )
    assert slow.latency_ms(50) == pytest.approx(1.15 * plain.latency_ms(50), rel=0.01)


def test_a_decision_may_drop_one_call_and_run_its_sibling() -> None:
    """The request has ended before the batch with the sibling begins, and the run goes on without it."""
    plan = make_plan({"a": 10.0, "b": 8.0}, slots=2, policy="nexus")
    times = poisson(200, 500)
    outcome = Simulator(plan).run(workload(times, FAN))
    assert len(outcome.latencies_s) + outcome.refusals.total() == outcome.requests == len(times)
    assert outcome.refusals[Refusal.LATE] > 0


def test_a_stream_gives_what_a_workload_gives_but_only_when_asked() -> None:
    """The first chunk has the same draws, and moments without end are no trouble."""
    kinds = graph_of([("a", ())], [("a", ()), ("b", (0,))])
    times = [number / 10 for number in range(200)]
    assert list(stream(times, kinds, seed=4)) == workload(times, kinds, seed=4)
    endless = stream((number / 10 for number in count()), kinds, seed=4)
    assert len(list(islice(endless, 30_000))) == 30_000
