"""What need not be measured."""

import pytest

from heterosis.profiling.pruning import calls_that_can_wait, dominated, no_larger_batch, promising, threads_in_vain
from heterosis.terms import (
    Configuration,
    Latency,
    OperatingPoint,
    PipelineGraph,
    TracedCall,
    TracedRequest,
    Variant,
)


def variant(name: str, accuracy: float | None = 0.9, size: int = 1) -> Variant:
    """Make a variant."""
    return Variant(
        stage="s",
        model=name,
        engine="e",
        precision="fp32",
        artifact="",
        digest=name,
        accuracy=accuracy,
        size_bytes=size,
    )


def point(ms: float, cpu_ms: float | None = None, batch: int = 1) -> OperatingPoint:
    """Make a point whose latency is the same at every quantile."""
    return OperatingPoint(
        configuration=Configuration(stage="s", variant="v", device_type="d"),
        batch=batch,
        latency=Latency(mean_ms=ms, p50_ms=ms, p95_ms=ms, p99_ms=ms),
        cpu_ms=ms if cpu_ms is None else cpu_ms,
    )


BEST = variant("best", 0.9)


@pytest.mark.parametrize(
    ("accuracy", "ms", "cpu_ms", "is_dominated"),
    [
        (0.9, 13.0, 13.0, True),
        (0.8, 13.0, 13.0, True),
        (0.91, 13.0, 13.0, False),
        (0.9, 12.0, 13.0, False),
        (0.9, 13.0, 12.0, False),
        (0.9, 13.0, 8.0, False),
        (None, 99.0, 99.0, False),
    ],
)
def test_dominated_in_all_three(accuracy: float | None, ms: float, cpu_ms: float, is_dominated: bool) -> None:  # noqa: FBT001
    """Only what is no more accurate, clearly slower and clearly dearer than one other variant is dominated."""
    reason = dominated(variant("v", accuracy), point(ms, cpu_ms), {BEST: point(10.0)})
    assert (reason is not None) == is_dominated
    if reason:
        assert "best/e-fp32 is as accurate" in reason
        assert "1.3 times as fast" in reason


def test_unknown_accuracy_dominates_nothing() -> None:
    """A fast variant of unknown accuracy says nothing about others."""
    assert dominated(variant("v"), point(100.0), {variant("fast", None): point(1.0)}) is None
    assert dominated(variant("v"), point(100.0), {}) is None


def test_nothing_dominates_itself_or_in_a_circle() -> None:
    """Of two variants at most one is dominated."""
    other = variant("other")
    assert dominated(BEST, point(10), {other: point(20)}) is None
    assert dominated(other, point(20), {BEST: point(10)})


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], None),
        ([point(10)], None),
        ([point(10), point(15, batch=2)], None),
        ([point(10), point(20, cpu_ms=15, batch=2)], None),
        ([point(10), point(20, batch=2)], "neither faster nor cheaper"),
        ([point(10), point(10, batch=2), point(20, batch=4)], "neither faster nor cheaper"),
        ([point(60), point(101, batch=2)], "takes 101 ms, more than the limit of 100 ms"),
        ([point(1), point(1, batch=2), point(1, batch=4), point(1, batch=8)], "no more than 5 calls"),
    ],
)
def test_larger_batches(points: list[OperatingPoint], reason: str | None) -> None:
    """Batches grow until they take too long, cannot be filled, or gain nothing."""
    found = no_larger_batch(points, cap_ms=100, most_calls=5)
    assert found == reason or (found and reason and reason in found)


def test_more_threads_must_be_faster() -> None:
    """More threads that do not shorten a batch are in vain."""
    assert threads_in_vain(point(9), point(10)) is None
    assert "against 10 ms with one thread" in str(threads_in_vain(point(9.9), point(10)))


def test_accurate_and_small_variants_come_first() -> None:
    """Likely dominators are measured before what they dominate."""
    names = [variant("a", None), variant("b", 0.8, 9), variant("c", 0.9, 9), variant("d", 0.9, 5)]
    assert [each.model for each in sorted(names, key=promising)] == ["d", "c", "b", "a"]


def test_calls_that_can_wait_together() -> None:
    """They are those of all requests within a latency, and of one more, by the largest fan-out."""
    request = TracedRequest(calls=(TracedCall(stage="a"), *(TracedCall(stage="b", parents=(0,)) for _ in range(7))))
    graph = PipelineGraph(pipeline="p", stages=("a", "b", "c"), requests=(request,))
    assert calls_that_can_wait(graph, latency_ms=1000, rate_rps=4) == {"a": 11, "b": 77, "c": 0}
    assert calls_that_can_wait(graph, latency_ms=1000, rate_rps=0)["a"] == 1
