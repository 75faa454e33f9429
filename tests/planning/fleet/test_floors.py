"""Accuracy floors of classes of requests: each class is planned for at its own."""

import pytest
from msgspec.structs import replace

from heterosis.planning.fleet import Task, accuracy, allot, to_plan
from heterosis.planning.fleet.task import LEAST_SHARE, OTHERS
from heterosis.testing.tasks import make_task

FLOOR, GOLD = 0.88, 0.97


def floored(*, mix: bool, gold: float, seed: int = 6) -> Task:
    """Two stages of two variants each, and a class that must be more accurate than the rest."""
    task = make_task(seed, stages=2, devices=4, rate_rps=100.0)
    (workload,) = task.workloads
    slo = replace(workload.slo, min_accuracy=FLOOR, class_accuracy={"gold": GOLD})
    return replace(task, mix=mix, workloads=(replace(workload, slo=slo, classes={"gold": gold}),))


def expected(task: Task, name: str) -> float:
    """End-to-end accuracy of a class by the plan."""
    answer = allot(task)
    assert answer is not None
    reference = task.workloads[0].variants.reference_accuracy
    assert reference
    found = reference
    for each in to_plan(task, answer.allotment).stages:
        accurate = each.class_accuracy.get(name, each.accuracy) if each.variants else each.variant.accuracy
        assert accurate is not None
        found *= accurate / reference
    return found


@pytest.mark.parametrize("gold", [0.0, 0.3, 1.0])
def test_every_class_is_planned_for_at_its_own_floor(gold: float) -> None:
    """Whatever part of the requests it is; the others are not made dearer by it."""
    task = floored(mix=True, gold=gold)
    assert expected(task, "gold") >= GOLD - 1e-6
    assert expected(task, OTHERS) >= FLOOR - 1e-6


def test_what_a_class_costs_grows_with_its_share() -> None:
    """From no floor but the others' to all of them at the high one."""
    costs = []
    for gold in (0.0, 0.3, 0.6, 1.0):
        answer = allot(floored(mix=True, gold=gold))
        assert answer is not None
        costs.append(answer.cost)
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_without_mixing_all_have_the_highest_floor() -> None:
    """A stage runs one variant then."""
    task = floored(mix=False, gold=0.3)
    answer = allot(task)
    assert answer is not None
    assert (accuracy(task.workloads[0], answer.allotment) or 0.0) >= GOLD


def test_a_class_of_which_nothing_is_known_is_planned_for() -> None:
    """One request of it may come at any time."""
    (workload,) = floored(mix=True, gold=0.0).workloads
    shares = {each.request_class: each.share for each in workload.floors(mix=True)}
    assert shares["gold"] == pytest.approx(LEAST_SHARE, rel=0.1)
    assert sum(shares.values()) == pytest.approx(1.0)
