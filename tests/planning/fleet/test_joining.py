"""Workers from outside as devices of a fleet."""

import pytest
from msgspec.structs import replace

from heterosis.planning.fleet import Limits, Task, allot, to_plan
from heterosis.planning.fleet.joining import with_worker, without_worker
from heterosis.terms.errors import UsageError
from heterosis.testing.tasks import make_task


def task() -> Task:
    """Two variants a stage, told apart by their digests."""
    drawn = make_task(3, rate_rps=240.0)
    (workload,) = drawn.workloads
    variants = tuple(
        replace(variant, digest=f"{variant.stage}-{variant.model}") for variant in workload.variants.variants
    )
    known = replace(workload.variants, variants=variants)
    return replace(drawn, workloads=(replace(workload, variants=known),))


def joined(digest: str = "stage0-model0", worker: str = "shed") -> Task:
    """Let a worker join that has the reference of the first stage."""
    return with_worker(task(), worker, "outside", stage="stage0", digest=digest, device_type="kind1", threads=1)


def test_a_worker_is_used_for_what_it_has_and_before_what_must_be_powered() -> None:
    """It runs its variant and nothing else, and draws nothing when idle, so fewer others are on."""
    both = joined()
    answer = allot(both, limits=Limits(latency=0.8))
    assert answer is not None
    plan = to_plan(both, answer.allotment)
    configurations = {each.configuration for each in plan.placements if each.node == "shed"}
    assert {each.stage for each in configurations} == {"stage0"}
    assert {plan.variant(each).digest for each in configurations} == {"stage0-model0"}
    alone = allot(task(), limits=Limits(latency=0.8))
    assert alone is not None
    assert answer.cost < alone.cost


def test_it_is_expected_to_take_what_its_kind_takes_here() -> None:
    """The same figures, under the name of its own kind; who joins again is known once."""
    twice = with_worker(
        joined(), "shed", "outside", stage="stage0", digest="stage0-model0", device_type="kind1", threads=1
    )
    assert twice == joined()
    points = twice.workloads[0].profile.points
    own = [point.latency for point in points if point.configuration.device_type == "kind1@shed"]
    like = [
        point.latency
        for point in points
        if (point.configuration.device_type, point.configuration.variant) == ("kind1", "model0/emulated-fp32")
        and point.configuration.stage == "stage0"
    ]
    assert own == like


def test_who_leaves_is_no_longer_there() -> None:
    """The fleet is what it was."""
    assert without_worker(joined(), "shed").fleet == task().fleet


def test_what_no_plan_can_use_is_refused() -> None:
    """With what would be of use."""
    with pytest.raises(UsageError, match=r"it plans with: stage0 model0"):
        joined(digest="another")
