"""Tracing plain Python control flow: loops, branches, joins, nesting."""

import asyncio

import pytest

import heterosis as hs
from heterosis.pipeline import Trace, trace
from heterosis.terms.errors import StageError, UsageError


class Count:
    """Count up to a number."""

    def run(self, number: int) -> list[int]:
        """List the numbers below."""
        return list(range(number))


class Double:
    """Twice a number."""

    def run(self, number: int) -> int:
        """Double it."""
        return 2 * number


class Join:
    """Add numbers up."""

    def run(self, numbers: list[int]) -> int:
        """Sum them."""
        return sum(numbers)


class Fail:
    """Always fails."""

    def run(self, number: int) -> int:
        """Divide by zero."""
        return number // 0


count, double, join, fail = hs.stage(Count), hs.stage(Double), hs.stage(Join), hs.stage(Fail)
SLO = hs.Slo(latency_ms=100)


@hs.pipeline(slo=SLO)
async def fan(number: int) -> int:
    """Fan out, branch on a value, meet again."""

    async def twice_if_odd(value: int) -> int:
        once = await double(value)
        return int(await double(once)) if value % 2 else int(once)

    values = await count(number)
    return int(await join(await hs.gather(twice_if_odd(value) for value in values)))


@hs.pipeline(slo=SLO)
async def loop(number: int) -> int:
    """Call one stage again and again."""
    for _ in range(number):
        number = await double(number)
    return number


@hs.pipeline(slo=SLO)
async def nested(number: int) -> int:
    """Gather gathers, beside single calls."""
    left, right = await hs.gather(hs.gather(double(number), double(1)), hs.gather(double(2)))
    (single,) = await hs.gather(count(3))
    return int(await join(left + right + single))


@hs.pipeline(slo=SLO)
async def failing(number: int) -> int:
    """Call a stage that raises."""
    return int(await fail(number))


def traced(pipeline: hs.Pipeline, *numbers: int) -> Trace:
    """Trace a pipeline on these numbers."""
    return asyncio.run(trace(pipeline, [hs.Sample({"number": number}) for number in numbers]))


def test_branches_of_a_fan_out_meet_in_the_join() -> None:
    """The join waits for the last call of each branch, and for nothing before that."""
    graph = traced(fan, 3).graph
    (request,) = graph.requests
    calls = [(call.stage, call.parents) for call in request.calls]
    assert calls[0] == ("count", ())
    ends = {position for position, _ in enumerate(calls)} - {p for _, parents in calls for p in parents}
    assert calls[-1][0] == "join"
    assert ends == {len(calls) - 1}
    assert len(calls[-1][1]) == 3
    assert graph.paths() == (("count", "double", "double", "join"), ("count", "double", "join"))


def test_stages_stand_in_the_order_in_which_requests_reach_them() -> None:
    """Whatever the order in which the function happens to name them; what no sample reaches comes last."""
    assert traced(fan, 3).graph.stages == ("count", "double", "join")
    assert traced(fan, 0).graph.stages == ("count", "join", "double")


def test_fan_out_is_a_distribution_over_the_samples() -> None:
    """Each sample gives one count; the mean and quantiles follow."""
    fan_out = traced(fan, 0, 2, 4).graph.fan_out("double")
    assert fan_out.counts == (0, 3, 6)
    assert fan_out.mean == 3
    assert [fan_out.quantile(percent) for percent in (1, 50, 99)] == [0, 3, 6]


def test_a_loop_is_a_path_through_the_same_stage() -> None:
    """Calls in a row stand on the path as often as they were made; edges count how one follows another."""
    graph = traced(loop, 3).graph
    assert graph.paths() == (("double", "double", "double"),)
    assert graph.edges() == {("double", "double"): 2.0}


def test_nested_gather_gives_nested_results_and_one_frontier() -> None:
    """Results keep the nesting, and what follows waits for every inner call."""
    found = traced(nested, 5)
    assert found.results == [10 + 2 + 4 + 3]
    (request,) = found.graph.requests
    assert [call.stage for call in request.calls] == ["double", "double", "double", "count", "join"]
    assert request.calls[3].parents == (0, 1, 2)


def test_real_inputs_and_time_shares_are_kept() -> None:
    """The arguments of every call are there to profile with; the shares of time sum to one."""
    found = traced(fan, 3)
    assert found.inputs["count"] == [(3,)]
    assert sorted(found.inputs["double"]) == [(0,), (1,), (2,), (2,)]
    assert sum(found.graph.time_share.values()) == pytest.approx(1.0)


def test_a_failing_stage_names_itself() -> None:
    """The error says which stage failed, and how."""
    with pytest.raises(StageError, match="stage 'fail' failed: ZeroDivisionError"):
        traced(failing, 1)


def test_a_pipeline_without_samples_cannot_be_traced() -> None:
    """The message says how to give samples."""
    with pytest.raises(UsageError, match=r"@loop\.samples"):
        asyncio.run(trace(loop, []))


def test_the_first_error_of_a_gather_cancels_the_rest() -> None:
    """A gather that fails leaves nothing running behind."""
    finished = []

    async def slow() -> None:
        await asyncio.sleep(0.05)
        finished.append(True)

    async def bad() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def both() -> None:
        with pytest.raises(ValueError, match="no"):
            await hs.gather(slow(), bad())
        await asyncio.sleep(0.1)

    asyncio.run(both())
    assert not finished
