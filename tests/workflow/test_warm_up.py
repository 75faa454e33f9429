"""What instances warm up with."""

from collections import Counter

import msgspec
import pytest

from heterosis.terms import OperatingPoint, Placement
from heterosis.testing import make_plan
from heterosis.workflow.warm_up import LONGEST_MS, warm_up_batches

CALLS = [(f"call {number}",) for number in range(10)]


def placement_of(base_ms: float, max_batch: int = 4) -> tuple[Placement, tuple[OperatingPoint, ...]]:
    """An instance, and how long its batches take."""
    plan = make_plan({"stage": base_ms}, max_batch=max_batch)
    return plan.placements[0], plan.points


def test_every_size_comes_up_and_many_calls() -> None:
    """A fast stage runs all sizes in turn, as often as there are calls, and so meets most of these."""
    batches = warm_up_batches(*placement_of(1.0), CALLS)
    sizes = Counter(map(len, batches))
    assert sizes == {1: 10, 2: 10, 4: 10}
    assert {call for batch in batches for call in batch} == set(CALLS)


@pytest.mark.parametrize("base_ms", [LONGEST_MS / 8, 10 * LONGEST_MS])
def test_a_slow_stage_does_not_warm_up_for_ever(base_ms: float) -> None:
    """It stops about when the time is over, but never before every size came up."""
    placement, points = placement_of(base_ms)
    batches = warm_up_batches(placement, points, CALLS)
    means = {point.batch: point.latency.mean_ms for point in points}
    before_last = sum(means[1] if len(batch) == 1 else means[4] for batch in batches[:-1])
    assert before_last < LONGEST_MS or len(batches) == 3
    assert {len(batch) for batch in batches} == {1, 2, 4}


def test_odd_sizes() -> None:
    """The largest batch counts, power of two or not."""
    placement, points = placement_of(1.0)
    odd = msgspec.structs.replace(placement, max_batch=3)
    assert {len(batch) for batch in warm_up_batches(odd, points, CALLS)} == {1, 2, 3}


def test_nothing_to_warm_up_with() -> None:
    """A stage that no sample calls starts cold, and one without points runs every size once."""
    placement, points = placement_of(1.0)
    assert warm_up_batches(placement, points, []) == []
    assert len(warm_up_batches(placement, (), CALLS)) == 3
