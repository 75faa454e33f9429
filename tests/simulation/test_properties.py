"""Whatever a run has in it: each request ends once, the books of the core hold, and the joules add up."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from heterosis.arrivals import poisson_count
from heterosis.control.energy import Joules
from heterosis.scheduling import validate
from heterosis.simulation import (
    Failure,
    Link,
    Network,
    Occupancy,
    Power,
    RandomFailures,
    RequestClass,
    Setting,
    Simulator,
    Traffic,
    Uniform,
    make_report,
    workload,
)
from heterosis.testing import graph_of

from .conftest import World, on_node

FAN = graph_of([("a", ()), *[("b", (0,))] * 3], [("a", ())])
CLASSES = (
    RequestClass(FAN.requests, "small"),
    RequestClass(FAN.requests[1:], "large", share=0.3, latency_ms=200.0, sizes=Uniform(1, 6)),
)
INSTANCES = ("a-0", "a-1-low", "b-0-low", "b-1")

failures = st.lists(
    st.builds(Failure, st.sampled_from(INSTANCES), st.floats(0, 2), st.floats(0, 2) | st.just(float("inf"))), max_size=6
)
random_failures = st.builds(
    RandomFailures, mtbf_s=st.floats(0.05, 5), mttr_s=st.floats(0, 1), seed=st.integers(0, 2**32)
)
networks = st.builds(
    lambda latency_ms, rate: Network(
        links={"there": Link(latency_ms=latency_ms, bandwidth_mbit_s=rate)}, traffic={"b": Traffic(input_bytes=1e4)}
    ),
    st.floats(0, 50),
    st.none() | st.floats(1, 1000),
)


@pytest.mark.parametrize("policy", ["fcfs", "heterosis", "round_robin"])
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes many minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_mix_of_happenings(policy: str, data: st.DataObject, world: World) -> None:
    """Failures, transfers, power, sleep, loading, new plans, any load: nothing is lost, counted twice or left over."""
    draw = data.draw
    plan = msgspec.structs.replace(world.plan, policy=policy)
    changes = [(at, on_node(plan, node)) for at, node in ((0.5, "there"), (1.2, "here")) if draw(st.booleans())]
    sleep_after_s = draw(st.none() | st.floats(0, 0.2))
    occupancy = Occupancy() if draw(st.booleans()) else None
    setting = Setting(
        load_at_start=draw(st.booleans()),
        failures=draw(failures),
        random_failures=draw(st.none() | random_failures),
        network=draw(st.none() | networks),
        power=draw(st.none() | st.just(Power(fleet=world.fleet, sleep_after_s=sleep_after_s))),
        plan_changes=changes,
        patience_s=300.0,
        occupancy=occupancy,
    )
    seed = draw(st.integers(0, 1000))
    arrivals = workload(poisson_count(draw(st.floats(10, 300)), 100, seed), CLASSES, seed=seed)
    simulator = Simulator(plan, seed=seed, setting=setting)
    outcome = simulator.run(arrivals)

    validate(simulator.scheduler)
    assert not simulator.scheduler.requests
    assert not simulator.scheduler.batches
    assert outcome.requests == len(arrivals) == len(outcome.latencies_s) + outcome.refusals.total()
    assert all(latency > 0 for latency in outcome.latencies_s)
    waits = outcome.records.waits
    assert (waits[~np.isnan(waits)] >= -1e-9).all()
    check_joules(outcome.joules, setting.power)
    report = make_report(outcome)
    assert sum(group.requests for group in report.classes) == report.requests
    assert sum(group.requests for group in report.size_deciles) == report.requests
    if occupancy is not None:
        check_slices(occupancy, outcome.duration_s)


def check_joules(joules: Joules, power: Power | None) -> None:
    """The parts make the total; waste is a share of the dynamic part."""
    assert joules.dynamic.joules is not None
    assert joules.wasted.joules is not None
    assert -1e-9 <= joules.wasted.joules <= joules.dynamic.joules + 1e-9
    if power is None:
        assert joules.total.joules is None
        return
    parts = [joules.idle.joules, joules.dynamic.joules, joules.switching.joules, joules.starting.joules]
    assert joules.total.joules == pytest.approx(sum(part for part in parts if part is not None))
    assert joules.idle.joules == pytest.approx(sum(energy.joules or 0.0 for energy in joules.idle_by.values()))


def check_slices(occupancy: Occupancy, duration_s: float) -> None:
    """No two batches ran on one slot at a time, and none beyond the end."""
    slices = sorted((e["pid"], e["tid"], e["ts"], e["dur"]) for e in occupancy.events if e["ph"] == "X")
    for first, second in pairwise(slices):
        if first[:2] == second[:2]:
            assert first[2] + first[3] <= second[2] + 1e-3
    assert all(begin + took <= duration_s * 1e6 + 1e-3 for _, _, begin, took in slices)
