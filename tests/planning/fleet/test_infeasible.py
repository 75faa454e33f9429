"""When no plan for a fleet is possible."""

import math
import re

import msgspec
import pytest

from heterosis.planning import InfeasibleError, Verdict
from heterosis.planning.fleet import Task, allot
from heterosis.planning.fleet.infeasible import infeasible, require
from heterosis.terms import Device, Fleet, Node
from heterosis.testing.tasks import make_task


def with_slo(task: Task, **changes: float | None) -> Task:
    """Return a task whose pipelines have another SLO."""
    replace = msgspec.structs.replace
    return replace(task, workloads=tuple(replace(each, slo=replace(each.slo, **changes)) for each in task.workloads))


def with_rate(task: Task, rate_rps: float) -> Task:
    """Return a task with another rate."""
    replace = msgspec.structs.replace
    return replace(task, workloads=tuple(replace(each, rate_rps=rate_rps) for each in task.workloads))


def with_memory(task: Task, memory_bytes: int) -> Task:
    """Return a task whose devices have so much memory."""

    def small(device: Device) -> Device:
        return msgspec.structs.replace(device, memory_bytes=memory_bytes)

    nodes = tuple(Node(name=node.name, devices=tuple(map(small, node.devices))) for node in task.fleet.nodes)
    return msgspec.structs.replace(task, fleet=Fleet(nodes=nodes))


def with_more(task: Task, kind: str, count: int) -> Task:
    """Return a task whose fleet has more devices of a kind."""
    (node,) = (node for node in task.fleet.nodes if node.name == f"node-{kind}")
    more = tuple(msgspec.structs.replace(node.devices[0], name=f"more-{number}") for number in range(count))
    other = Node(name=f"more-{kind}", devices=more)
    return msgspec.structs.replace(task, fleet=Fleet(nodes=(*task.fleet.nodes, other)))


def refusal(task: Task) -> InfeasibleError:
    """Return the error of planning."""
    with pytest.raises(InfeasibleError) as caught:
        require(task)
    return caught.value


def check_nearest(task: Task, error: InfeasibleError) -> None:
    """Every value that the error says is possible must be so, with all else kept."""
    nearest = error.nearest
    if nearest.latency_ms is not None:
        require(with_slo(task, latency_ms=nearest.latency_ms))
    if nearest.rate_rps is not None:
        require(with_rate(task, nearest.rate_rps))
    if nearest.accuracy is not None:
        require(with_slo(task, min_accuracy=nearest.accuracy))


def test_an_slo_below_the_fastest_options_binds_alone() -> None:
    """No other limit is at fault, and the tightest possible SLO is found to a per cent."""
    error = refusal(task := make_task(1, slo_ms=5.0))
    assert error.binding == ("latency",)
    assert "the SLO binds" in str(error)
    assert error.nearest.latency_ms is not None
    assert error.nearest.rate_rps is None
    check_nearest(task, error)
    assert allot(with_slo(task, latency_ms=0.99 * error.nearest.latency_ms)) is None


def test_more_than_all_devices_can_do_binds_alone() -> None:
    """More devices are enough; so is the highest rate that is named, and a per cent more is not."""
    error = refusal(task := make_task(2, rate_rps=5000.0))
    assert error.binding == ("devices",)
    assert "capacity binds" in str(error)
    more = re.findall(r"(\d+) (kind\d)", str(error))
    assert "more would do" in str(error)
    for count, kind in more:
        task = with_more(task, kind, int(count))
    assert allot(task) is not None
    task = make_task(2, rate_rps=5000.0)
    assert error.nearest.rate_rps is not None
    check_nearest(task, error)
    assert allot(with_rate(task, 1.01 * error.nearest.rate_rps)) is None


def test_a_floor_above_the_best_variants_binds_alone() -> None:
    """Their accuracy is the nearest."""
    error = refusal(task := make_task(3, min_accuracy=0.9999))
    assert error.binding == ("accuracy",)
    assert error.nearest.accuracy is not None
    check_nearest(task, error)
    assert allot(with_slo(task, min_accuracy=error.nearest.accuracy + 1e-3)) is None


def test_too_little_memory_for_any_variant_binds_alone() -> None:
    """Nothing else helps, so nothing near is named."""
    error = refusal(with_memory(make_task(4), 1000))
    assert error.binding == ("memory",)
    assert error.nearest.latency_ms is None
    assert error.nearest.rate_rps is None


def test_two_limits_that_must_both_give_way_are_both_named() -> None:
    """Faster devices would not be accurate, and a lower floor would not make them fast."""
    error = refusal(make_task(5, slo_ms=5.0, min_accuracy=0.9999))
    assert error.binding == ("latency", "accuracy")
    assert "several limits bind together" in str(error)


def test_either_of_two_limits_may_give_way() -> None:
    """The fast variants are not accurate, the accurate ones not fast: both limits are named, and both nearest hold."""
    task = make_task(6, kinds=1, rate_rps=0.1, min_accuracy=0.95)
    error = refusal(fast := with_slo(task, latency_ms=0.95 * least_ms(task)))
    assert error.binding == ("latency", "accuracy")
    assert "it takes a looser SLO, or a lower accuracy floor" in str(error)
    check_nearest(fast, error)


def least_ms(task: Task) -> float:
    """Return the tightest SLO that a task can have."""
    error = infeasible(with_slo(task, latency_ms=1.0))
    assert error.nearest.latency_ms is not None
    return error.nearest.latency_ms


def test_a_stage_that_no_device_can_run_is_named() -> None:
    """It is no matter of limits."""
    task = make_task(7)
    first = task.workloads[0]
    kept = tuple(point for point in first.profile.points if point.configuration.stage != "stage1")
    workload = msgspec.structs.replace(first, profile=msgspec.structs.replace(first.profile, points=kept))
    error = refusal(msgspec.structs.replace(task, workloads=(workload,)))
    assert error.binding == ("devices",)
    assert "no device of the fleet has figures of stage stage1" in str(error)


def test_plans_that_missed_the_slo_when_tried_are_said_to_have() -> None:
    """By the options' figures there is a plan, and none that held."""
    tried = [Verdict(latency_ms=512.0, attainment=0.9), Verdict(latency_ms=505.4, attainment=0.983)]
    error = infeasible(make_task(8), tried=tried)
    assert error.binding == ("latency",)
    assert "missed it when tried in the simulator; the best had 98.3 % in time, and a p99 of 505 ms" in str(error)
    refused = infeasible(make_task(8), tried=[Verdict(latency_ms=math.inf, attainment=0.5)])
    assert "more was refused than the SLO lets be late" in str(refused)
