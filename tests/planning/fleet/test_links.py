"""What lies between requests and devices: links of limited bandwidth, and the server itself."""

import msgspec
import pytest

from heterosis.planning import InfeasibleError
from heterosis.planning.fleet import Task, allot, to_plan
from heterosis.planning.fleet.infeasible import infeasible, require
from heterosis.planning.fleet.planners.servers import servers
from heterosis.terms import Energy, Fleet, Overhead, Quality
from heterosis.testing.tasks import make_task

RATE = 20.0
ITEM_BYTES = 125_000.0
"""One megabit: it takes as many milliseconds as a gigabit has megabits per second."""


def linked(bandwidth_mbit_s: float | None, link_ms: float = 0.0, slo_ms: float = 500.0) -> Task:
    """One stage on one kind of device, behind a link."""
    task = make_task(3, stages=1, kinds=1, rate_rps=RATE, slo_ms=slo_ms)
    change = msgspec.structs.replace
    (workload,) = task.workloads
    graph = change(workload.graph, input_bytes={"stage0": ITEM_BYTES})
    nodes = tuple(change(node, link_ms=link_ms, bandwidth_mbit_s=bandwidth_mbit_s) for node in task.fleet.nodes)
    return change(task, workloads=(change(workload, graph=graph),), fleet=Fleet(nodes=nodes))


def test_what_travels_takes_latency_there_and_back_and_its_bytes_over_the_bandwidth() -> None:
    """A megabit through 100 of them a second takes 10 ms."""
    (near,), (far,) = linked(None).kinds, linked(100.0, link_ms=5.0).kinds
    assert near.link_s(ITEM_BYTES) == 0.0
    assert far.link_s(ITEM_BYTES) == pytest.approx(0.020)
    batches = {server.option.batch: server.link_s for server in servers(linked(100.0))["stage0"]}
    assert batches == pytest.approx({1: 0.010, 4: 0.040})


def test_a_slow_link_binds_the_slo() -> None:
    """Without the bytes the same SLO can be kept."""
    assert allot(linked(None, slo_ms=100.0)) is not None
    with pytest.raises(InfeasibleError) as caught:
        require(linked(10.0, slo_ms=100.0))
    assert "latency" in caught.value.binding


def test_a_link_carries_no_more_than_most_of_its_bandwidth() -> None:
    """Twenty megabits a second fit into 30, not into 24, however long they may take."""
    assert allot(linked(30.0, slo_ms=5000.0)) is not None
    assert allot(linked(24.0, slo_ms=5000.0)) is None


def test_the_servers_own_time_is_taken_off_the_slo() -> None:
    """What fits an SLO with it would fit one that is shorter by as much without; the plan carries it on."""
    task = linked(None)
    overhead = Overhead(wall_ms=30.0, cpu_ms=10.0, cores=2, energy=Energy(1.0, Quality.MODELLED), requests=20).apart
    error = infeasible(msgspec.structs.replace(linked(None, slo_ms=1.0), overhead=overhead))
    bare = infeasible(linked(None, slo_ms=1.0))
    assert error.nearest.latency_ms is not None
    assert bare.nearest.latency_ms is not None
    assert error.nearest.latency_ms - bare.nearest.latency_ms == pytest.approx(30.0, abs=1.0)
    answer = allot(task := msgspec.structs.replace(task, overhead=overhead))
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    assert plan.overhead == overhead
    assert plan.overhead.share(plan.rate_rps) == 0.0  # it has a machine of its own
    assert plan.overhead.energy.joules == 0.0
