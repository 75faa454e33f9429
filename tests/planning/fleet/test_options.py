"""The options of a stage: batch sizes, and how full batches are."""

import msgspec
import pytest

from heterosis.planning.fleet import Option, Task, enumerate_options
from heterosis.planning.fleet.planners.servers import servers
from heterosis.terms import PipelineGraph, TracedCall, TracedRequest
from heterosis.testing.tasks import make_task

MEASURED = (1, 2, 4, 8, 16, 32)
CALLS = 18


def gathering(measured: tuple[int, ...] = MEASURED) -> Task:
    """A second stage that is called eighteen times for each call of the first."""
    task = make_task(3, stages=2, variants=1, kinds=1, batches=measured, slo_ms=2000)
    first, second = task.workloads[0].graph.stages
    calls = (TracedCall(stage=first), *(TracedCall(stage=second, parents=(0,)) for _ in range(CALLS)))
    graph = PipelineGraph(pipeline="drawn", stages=(first, second), requests=(TracedRequest(calls=calls),))
    replace = msgspec.structs.replace
    return replace(task, workloads=(replace(task.workloads[0], graph=graph),))


def of_second(task: Task) -> list[Option]:
    """The options of the stage that is called many times."""
    return [each for each in enumerate_options(task) if each.stage == task.workloads[0].graph.stages[1]]


def test_what_is_ready_together_fits_in_one_batch_or_in_two_alike() -> None:
    """Sizes between those measured; not beyond the largest. Who follows a paper has those that were measured."""
    task = gathering()
    assert {each.batch for each in of_second(task)} == {*MEASURED, 9, 18}
    assert {each.batch for each in of_second(gathering(MEASURED[:-2]))} == {1, 2, 4, 8}
    for of in servers(task).values():
        assert {each.option.batch for each in of} == set(MEASURED)


def test_a_rest_has_a_batch_of_its_own_where_none_is_waited_for() -> None:
    """Eighteen calls are two batches of at most sixteen, and take as long as two of nine do; one of all is shorter."""
    taken = {each.batch: each.slot_s for each in of_second(gathering()) if not each.fill_s}
    assert taken[16] == pytest.approx(taken[9])
    assert taken[18] < taken[16]
    assert 32 not in taken
