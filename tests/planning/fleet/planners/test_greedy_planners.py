"""InferLine, Nexus, IPA, Ribbon, Harpagon: what each promises by itself."""

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet import Allotment, Objective, price_per_hour
from heterosis.planning.fleet.planners.harpagon import latency_s, price_of, scheduled
from heterosis.planning.fleet.planners.inferline import inferline, modelled
from heterosis.planning.fleet.planners.ipa import ipa
from heterosis.planning.fleet.planners.ipa import latency_s as ipa_latency_s
from heterosis.planning.fleet.planners.nexus import nexus, saturated, split
from heterosis.planning.fleet.planners.ribbon import TARGET, posterior, ribbon
from heterosis.planning.fleet.planners.servers import Server, of_best_variants, servers
from heterosis.testing.tasks import make_task

seeds = st.integers(0, 10_000)
rates = st.sampled_from([5.0, 20.0, 60.0, 200.0])


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rate=rates)
def test_inferline_fits_the_estimate_and_no_replica_can_go(seed: int, rate: float) -> None:
    """By its own estimator: the last action that saves something has been taken."""
    task = make_task(seed, devices=10, rate_rps=rate, batches=(1, 2, 4))
    found = inferline(task)
    if found is None:
        return
    assert modelled(task, found) <= 1 + 1e-9
    seen: list[Allotment] = []

    def estimate(allotment: Allotment) -> float:
        seen.append(allotment)
        return modelled(task, allotment)

    assert inferline(task, estimate) == found
    dearer = [price_per_hour(task, each) or 0.0 for each in seen if modelled(task, each) <= 1]
    assert min(dearer) == pytest.approx(price_per_hour(task, found))


def test_inferline_listens_to_the_estimator_it_is_given() -> None:
    """One that asks for three devices of everything gets them; one that is never content gets no plan."""
    task = make_task(2, devices=8)
    found = inferline(task, lambda each: 0.5 if all(share.count >= 3 for share in each.shares) else 2.0)
    assert found is not None
    assert [share.count for share in found.shares] == [3, 3]
    assert inferline(task, lambda _each: 2.0) is None


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rate=rates)
def test_nexus_keeps_every_budget_in_the_worst_case(seed: int, rate: float) -> None:
    """What is saturated waits for one batch at most; what shares a device fits its duty cycle."""
    task = make_task(seed, devices=20, rate_rps=rate, stages=3, kinds=1, batches=(1, 2, 4, 8))
    found = nexus(task)
    if found is None:
        return
    budgets = {stage: {host.option.latency_s for host in found.hosted(stage)} for stage in task.stages}
    assert sum(max(each) for each in budgets.values()) <= 0.5 + 1e-9
    for share in found.shares:
        times = [host.option.slot_s * host.option.batch for host in share.hosts]
        cycle_s = min(host.option.batch * share.count / host.per_s for host in share.hosts)
        if len(times) > 1:
            assert sum(times) <= cycle_s + 1e-9


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_nexus_split_is_the_best_of_all_splits(seed: int) -> None:
    """Against every split of a coarse grid: none needs fewer devices."""
    task = make_task(seed, kinds=1, stages=2, batches=(1, 2, 4, 8), rate_rps=50.0)
    found, calls = of_best_variants(task)
    budgets = split(task, found, calls)

    def devices(chosen: dict[str, float]) -> float:
        of = {stage: saturated(found[stage], budget_s) for stage, budget_s in chosen.items()}
        return sum(math.inf if each is None else calls[stage] / each.per_s for stage, each in of.items())

    grid = [at * 0.005 for at in range(1, 100)]
    best = min(devices({"stage0": one, "stage1": 0.5 - one}) for one in grid)
    assert (math.inf if budgets is None else devices(budgets)) == pytest.approx(best)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, alpha=st.sampled_from([0.0, 0.2, 2.0]))
def test_ipa_is_the_best_of_all_choices(seed: int, alpha: float) -> None:
    """Against enumeration, with a fleet that is large enough."""
    task = make_task(seed, kinds=2, devices=40, rate_rps=60.0, slo_ms=200.0)
    workload, of = task.workloads[0], servers(task)

    def value(chosen: tuple[Server, ...]) -> float:
        names = tuple((each.option.stage, each.option.variant.name) for each in chosen)
        price = sum(each.needed(60.0) * each.price for each in chosen)
        return alpha * 100 * workload.accuracy(names) - price

    able = [
        value(chosen)
        for chosen in itertools.product(*of.values())
        if sum(ipa_latency_s(each, 60.0) for each in chosen) <= 0.2
    ]
    found = ipa(task, alpha=alpha, delta=0.0)
    assert (found is None) == (not able)
    if found is not None:
        names = tuple((host.option.stage, host.option.variant.name) for host in found.hosted())
        reached = alpha * 100 * workload.accuracy(tuple(sorted(names))) - (price_per_hour(task, found) or 0.0)
        assert reached == pytest.approx(max(able), abs=1e-3)


def test_ribbon_finds_a_pool_that_is_nearly_the_cheapest_by_an_evaluator_of_its_own() -> None:
    """Of 81 pools, by a rule that is no queue: so many calls per second with a tenth to spare."""
    task = msgspec.structs.replace(
        make_task(7, stages=1, kinds=2, devices=8, rate_rps=120.0, batches=(1,)), objectives=(Objective.PRICE,)
    )
    able = {each.option.group: each for each in of_best_variants(task)[0]["stage0"]}

    def in_time(counts: dict[tuple[int, str], int]) -> float:
        return min(1.0, sum(able[group].per_s * count for group, count in counts.items()) / 132)

    found = ribbon(task, lambda each: in_time(each.devices()), tries=40)
    assert found is not None
    groups = list(able)
    pools = [dict(zip(groups, counts, strict=True)) for counts in itertools.product(range(9), repeat=2)]
    cheapest = min(
        sum(able[group].price * count for group, count in pool.items()) for pool in pools if in_time(pool) >= TARGET
    )
    assert in_time(found.devices()) >= TARGET
    assert price_per_hour(task, found) == pytest.approx(cheapest, rel=0.1)


def test_the_process_knows_what_it_saw_and_doubts_what_lies_far_away() -> None:
    """Mean and deviation at a point seen, and far from all."""
    seen, values = np.array([[0.0], [2.0], [4.0]]), np.array([0.1, 0.5, 0.3])
    mean, deviation = posterior(seen, values, np.array([[2.0], [100.0]]), np.array([4.0]))
    assert mean[0] == pytest.approx(0.5, abs=0.01)
    assert mean[1] == pytest.approx(0.3, abs=0.01)
    assert deviation[0] < 0.05 * deviation[1]


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rate=rates, budget_s=st.sampled_from([0.05, 0.1, 0.3]))
def test_harpagon_serves_all_within_the_budget_at_no_more_than_one_tuple_costs(
    seed: int, rate: float, budget_s: float
) -> None:
    """Each tuple is fast enough for what it and those after it get, and any single tuple is as dear or dearer."""
    task = make_task(seed, stages=1, kinds=3, devices=40, batches=(1, 2, 4, 8))
    found = of_best_variants(task)[0]["stage0"]
    tuples = scheduled(found, rate, budget_s)
    alone = [each.needed(rate) * each.price for each in found if latency_s(each, rate) <= budget_s]
    assert (tuples is None) == (not alone)
    if tuples is None:
        return
    assert price_of(tuples) <= min(alone) + 1e-9
    left = rate
    for each in tuples:
        assert latency_s(each.server, left) <= budget_s + 1e-9
        assert each.per_s <= each.count * each.server.per_s * (1 + 1e-9)
        left -= each.per_s
    assert left == pytest.approx(0, abs=1e-6)
