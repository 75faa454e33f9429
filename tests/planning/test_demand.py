"""What a request asks of each stage."""

from heterosis.planning.demand import demand, rivals
from heterosis.terms import PipelineGraph, TracedCall, TracedRequest
from heterosis.testing.snapshots import chain


def graph(*requests: tuple[tuple[str, tuple[int, ...]], ...]) -> PipelineGraph:
    """Return a graph of requests, each a tuple of (stage, parents)."""
    return PipelineGraph(
        pipeline="test",
        stages=tuple(dict.fromkeys(stage for request in requests for stage, _ in request)),
        requests=tuple(
            TracedRequest(calls=tuple(TracedCall(stage=stage, parents=parents) for stage, parents in request))
            for request in requests
        ),
    )


def test_a_gather_is_one_group() -> None:
    """Calls that wait for the same call are ready together."""
    wanted = demand(chain({"detect": [1, 1], "read": [3, 5]}), "read")
    assert wanted.groups == ((3,), (5,))
    assert wanted.mean == 4
    assert wanted.sizes == {3: 0.5, 5: 0.5}


def test_a_loop_is_a_group_for_each_turn() -> None:
    """Calls of a stage that follow each other are never ready together."""
    wanted = demand(graph((("a", ()), ("b", (0,)), ("a", (1,)), ("b", (2,)))), "a")
    assert wanted.groups == ((1, 1),)
    assert wanted.width(99) == 1
    assert wanted.mean == 2


def test_the_width_is_a_percentile_over_the_samples() -> None:
    """The smallest width that so many of the samples do not exceed."""
    wanted = demand(chain({"a": [1, 2, 3, 4]}), "a")
    assert [wanted.width(percent) for percent in (25, 50, 75, 99)] == [1, 2, 3, 4]


def test_a_stage_that_is_hardly_called_is_still_one_call_wide() -> None:
    """A rare call takes its time all the same."""
    assert demand(chain({"a": [1] * 3, "b": [0, 0, 1]}), "b").width(50) == 1


def test_branches_of_one_request_are_rivals() -> None:
    """Stages that run side by side take turns; those that never meet in a request do not."""
    both = graph((("a", ()), ("b", (0,)), ("c", (0,))))
    assert rivals(both) == {("a", "b"): ("c",), ("a", "c"): ("b",)}
    either = graph((("a", ()), ("b", (0,))), (("a", ()), ("c", (0,))))
    assert rivals(either) == {("a", "b"): (), ("a", "c"): ()}
