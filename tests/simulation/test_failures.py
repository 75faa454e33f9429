"""Failures, repairs, loading, and transfers between nodes."""

import msgspec
import pytest

from heterosis.scheduling import Refusal, validate
from heterosis.simulation import (
    Arrival,
    Failure,
    Link,
    Network,
    RandomFailures,
    Setting,
    Simulator,
    Traffic,
    single_call,
)
from heterosis.terms import Plan
from heterosis.terms.errors import UsageError
from heterosis.testing import make_plan

A = single_call("a")


def one_instance(load_ms: float = 0.0, took_ms: float = 100.0) -> Plan:
    """One instance of stage a."""
    plan = make_plan({"a": took_ms}, slots=1, max_batch=1, slo_ms=60_000, policy="fcfs")
    points = tuple(msgspec.structs.replace(point, load_ms=load_ms, warm_up_ms=50.0) for point in plan.points)
    return msgspec.structs.replace(plan, points=points)


def test_a_failure_loses_the_batch_and_the_call_runs_again() -> None:
    """Lost after 50 ms, repaired after a second, loaded and warm after 250 ms more: then the call runs anew."""
    setting = Setting(failures=[Failure("a-0", at_s=0.05, repair_s=1.0)])
    simulator = Simulator(one_instance(load_ms=200), setting=setting)
    outcome = simulator.run([Arrival(0.0, A)])
    assert outcome.latencies_s == [pytest.approx(0.05 + 1.0 + 0.25 + 0.1, rel=0.05)]
    assert outcome.records.waits.tolist() == [pytest.approx(1.25)]
    assert outcome.wasted_joules == pytest.approx(0.05)  # at 1 W
    validate(simulator.scheduler)


def test_what_fails_while_it_loads_loads_again() -> None:
    """The first start never ends; the second one begins after the repair."""
    setting = Setting(failures=[Failure("a-0", at_s=0.1, repair_s=0.5)], load_at_start=True)
    outcome = Simulator(one_instance(load_ms=200), setting=setting).run([Arrival(0.0, A)])
    assert outcome.latencies_s == [pytest.approx(0.1 + 0.5 + 0.25 + 0.1, rel=0.05)]


def test_loading_at_the_start_delays_the_first_answers() -> None:
    """By default instances are ready when the run begins."""
    at_once, loaded = (
        Simulator(one_instance(load_ms=200), setting=Setting(load_at_start=load)).run([Arrival(0.0, A)]).latencies_s[0]
        for load in (False, True)
    )
    assert loaded - at_once == pytest.approx(0.25)


def test_what_nothing_can_run_any_more_is_given_up() -> None:
    """An instance that is never repaired: its calls are not forgotten, but end as unavailable."""
    setting = Setting(failures=[Failure("a-0", at_s=0.05, repair_s=float("inf"))])
    outcome = Simulator(one_instance(), setting=setting).run([Arrival(0.0, A), Arrival(0.01, A)])
    assert outcome.refusals == {Refusal.UNAVAILABLE: 2}


def test_what_never_loads_is_given_up_in_the_end() -> None:
    """An instance that always fails again before it has loaded does not keep the run going for ever."""
    setting = Setting(random_failures=RandomFailures(mtbf_s=0.001, mttr_s=1.0), patience_s=1000.0, load_at_start=True)
    outcome = Simulator(one_instance(load_ms=60_000), setting=setting).run([Arrival(0.0, A), Arrival(50.0, A)])
    assert outcome.refusals == {Refusal.UNAVAILABLE: 2}
    assert 0 < outcome.duration_s <= 1050.0


def test_random_failures_take_their_share_of_the_time() -> None:
    """With as much time to repair as between failures, an instance is gone for half of the time."""
    random = RandomFailures(mtbf_s=1.0, mttr_s=1.0, seed=3)
    setting = Setting(random_failures=random)
    arrivals = [Arrival(0.02 * number, A) for number in range(6000)]
    plan = one_instance(took_ms=1.0)
    plan = msgspec.structs.replace(plan, points=tuple(msgspec.structs.replace(p, warm_up_ms=0.0) for p in plan.points))
    outcome = Simulator(plan, setting=setting).run(arrivals)
    waited = sum(latency > 0.1 for latency in outcome.latencies_s) / outcome.requests
    assert waited == pytest.approx(0.5, abs=0.15)
    again = Simulator(plan, setting=setting).run(arrivals)
    assert again == outcome


def test_random_failures_do_not_depend_on_other_instances() -> None:
    """An instance's failures follow from the seed and its name alone."""
    streams = [
        RandomFailures(mtbf_s=1.0, mttr_s=1.0, seed=seed).of(name) for seed, name in ((1, "x"), (1, "x"), (1, "y"))
    ]
    first, same, other = (next(stream) for stream in streams)
    assert first == same != other


def test_failures_of_nobody_are_refused() -> None:
    """A failure of an instance that no plan has is a mistake."""
    with pytest.raises(UsageError, match="no plan has instance b-7, which is to fail; there are: a-0"):
        Simulator(one_instance(), setting=Setting(failures=[Failure("b-7", 1.0)]))


def test_batches_travel_there_and_back() -> None:
    """Latency and bytes count both ways; run time as such is not changed by it."""
    network = Network(
        links={"here": Link(latency_ms=5.0, bandwidth_mbit_s=8.0)},
        traffic={"a": Traffic(input_bytes=10_000, output_bytes=1_000)},
    )
    near, far = (
        Simulator(one_instance(), setting=Setting(network=each)).run([Arrival(0.0, A, size=2)]).latencies_s[0]
        for each in (None, network)
    )
    assert far - near == pytest.approx(2 * 0.005 + 2 * (0.010 + 0.001))


def test_a_node_without_a_link_is_near() -> None:
    """Only nodes with a link are far."""
    network = Network(links={"elsewhere": Link(latency_ms=5.0)})
    assert network.seconds("here", "a", 100) == (0.0, 0.0)


def test_a_batch_held_in_advance_travels_while_another_runs() -> None:
    """Instances of short batches hold two: the way there is hidden, the instance is busy without a gap."""
    plan = make_plan({"a": 4.0}, slots=1, max_batch=1, slo_ms=60_000, policy="fcfs")
    network = Network(links={"here": Link(latency_ms=1.0)})
    outcome = Simulator(plan, setting=Setting(network=network)).run([Arrival(0.0, A)] * 100)
    assert outcome.duration_s == pytest.approx(0.4, rel=0.05)
