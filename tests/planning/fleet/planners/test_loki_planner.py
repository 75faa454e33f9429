"""Loki's planner: half of the SLO, fewest servers, then most accuracy."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet import Task, accuracy
from heterosis.planning.fleet.planners.loki import PART, loki
from heterosis.planning.fleet.planners.servers import best_variants, servers
from heterosis.testing.tasks import make_task

seeds = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rate=st.sampled_from([10.0, 40.0, 150.0]))
def test_every_batch_in_use_has_a_path_within_half_of_the_slo(seed: int, rate: float) -> None:
    """Batches of the other stages that are in use complete it to one."""
    task = make_task(seed, kinds=1, devices=6, rate_rps=rate, slo_ms=200.0)
    found = loki(task)
    if found is None:
        return
    run_s = {stage: [host.option.run_s for host in found.hosted(stage)] for stage in task.stages}
    for stage, times in run_s.items():
        others = sum(min(of) for other, of in run_s.items() if other != stage)
        assert all(each + others <= PART * 0.2 + 1e-9 for each in times)
    for share in found.shares:
        assert len(share.hosts) == 1


def fewest(task: Task) -> int | None:
    """Servers of the best variants, where each stage has one batch size: an upper bound of Loki's own."""
    best = dict(best_variants(task.workloads[0]))
    choices = [[each for each in of if each.option.variant.name == best[stage]] for stage, of in servers(task).items()]
    able = [
        sum(each.needed(task.workloads[0].rate_rps) for each in chosen)
        for chosen in itertools.product(*choices)
        if sum(each.latency_s for each in chosen) <= PART * task.workloads[0].slo.latency_ms / 1e3
    ]
    return min(able, default=None)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_hardware_scaling_takes_no_more_servers_than_one_batch_for_each_stage_would(seed: int) -> None:
    """And where those are not too many, every answer is of the best variants."""
    task = make_task(seed, kinds=1, devices=30, rate_rps=100.0, slo_ms=300.0)
    bound = fewest(task)
    found = loki(task)
    if bound is None or bound > len(task.kinds[0].units):
        return
    assert found is not None
    assert sum(found.devices().values()) <= bound
    best = task.workloads[0].accuracy(best_variants(task.workloads[0]))
    assert accuracy(task.workloads[0], found) == pytest.approx(best)


def at_rate(task: Task, rate_rps: float) -> Task:
    """The same task under another load."""
    return msgspec.structs.replace(task, workloads=(msgspec.structs.replace(task.workloads[0], rate_rps=rate_rps),))


def test_accuracy_falls_as_the_load_grows_until_nothing_is_possible() -> None:
    """Hardware scaling first, then accuracy scaling on all servers, then no plan."""
    task = make_task(4, kinds=1, devices=4, variants=3, batches=(1, 2, 4, 8))
    found = [loki(at_rate(task, rate)) for rate in (20, 40, 80, 120, 160, 200, 240, 320, 1000)]
    possible = [each for each in found if each is not None]
    assert found[: len(possible)] == possible
    assert found[-1] is None
    accuracies = [accuracy(task.workloads[0], each) or 0.0 for each in possible]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0]
    assert possible[-1].reasons != possible[0].reasons


def test_a_weak_first_stage_that_calls_less_saves_servers_downstream() -> None:
    """Fan-out that depends on the variant counts along a path."""
    task = make_task(4, kinds=1, devices=4, variants=2)
    workload = task.workloads[0]
    weak = workload.variants.of("stage0")[1].name
    halved = msgspec.structs.replace(workload, rate_rps=150.0, fan_out={("stage0", weak, "stage1"): 0.1})
    one = loki(at_rate(task, 150.0))
    other = loki(msgspec.structs.replace(task, workloads=(halved,)))
    assert other is not None
    calls = sum(host.per_s for host in other.hosted("stage1"))
    used = sum(host.per_s for host in other.hosted("stage0") if host.option.variant.name == weak)
    assert calls == pytest.approx(150 - 0.9 * used, rel=1e-3)
    assert one is None or (accuracy(workload, one) or 0) <= (accuracy(workload, other) or 0) + 1e-3
