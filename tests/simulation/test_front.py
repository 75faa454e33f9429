"""The server's own process, in the simulator."""

import msgspec
import pytest

from heterosis.simulation import Simulator, single_call, workload
from heterosis.simulation.front import Front
from heterosis.simulation.workload import Arrival
from heterosis.terms import Energy, Overhead, Plan, Quality
from heterosis.testing import graph_of, make_plan

GRAPH = graph_of([("a", ())])
OVERHEAD = Overhead(wall_ms=8.0, cpu_ms=5.0, cores=2, energy=Energy(0.5, Quality.MODELLED), requests=1)


def entered(times: list[float], overhead: Overhead) -> list[float]:
    """When the scheduling core sees requests that arrive at these times."""
    arrivals = [Arrival(at=at, shape=single_call("a")) for at in times]
    return [at for at, _ in Front(overhead).passed(arrivals)]


def plan_of(overhead: Overhead) -> Plan:
    """Two instances of 10 ms, for ten requests a second."""
    return msgspec.structs.replace(make_plan({"a": 10.0}, slots=2, max_batch=1), rate_rps=10.0, overhead=overhead)


def test_a_request_alone_is_held_up_by_the_wall_time() -> None:
    """However much CPU time is in that."""
    assert entered([1.0, 2.0], OVERHEAD) == pytest.approx([1.008, 2.008])


def test_requests_that_come_together_wait_for_each_others_cpu_time() -> None:
    """One process does it all; what is only waited for, it does beside."""
    assert entered([1.0, 1.0, 1.0], OVERHEAD) == pytest.approx([1.008, 1.013, 1.018])


def test_without_overhead_nothing_changes() -> None:
    """Requests enter as they arrive."""
    assert entered([0.5, 0.5, 3.0], Overhead()) == [0.5, 0.5, 3.0]


def test_latency_and_joules_count_it_and_instances_get_what_is_left() -> None:
    """At ten requests a second, 5 ms of two cores are 2.5 % of them; a batch takes longer, but no more energy."""
    arrivals = workload([0.0, 1.0], GRAPH)
    bare, with_front = (Simulator(plan_of(each)).run(arrivals) for each in (Overhead(), OVERHEAD))
    for before, after in zip(bare.latencies_s, with_front.latencies_s, strict=True):
        assert after == pytest.approx(before / 0.975 + 0.008)
    assert with_front.joules.dynamic.joules is not None
    assert bare.joules.dynamic.joules is not None
    assert with_front.joules.dynamic.joules == pytest.approx(bare.joules.dynamic.joules + 2 * 0.5)
