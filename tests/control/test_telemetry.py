"""What records tell: counted right, and with bounded memory."""

from heterosis.control.telemetry import MOST_CLASSES, OTHER, Ran, Telemetry
from heterosis.scheduling import (
    BatchDone,
    InstanceDown,
    PlanChanged,
    Record,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
)
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Request
from heterosis.testing import make_plan, make_pool
from tests.control.conftest import Watched


def test_a_requests_life_is_counted() -> None:
    """Arrival, fan-out, waits, the batch's time at its operating point, and that it was in time."""
    driver = Watched(make_plan({"a": 10.0}, slots=1, max_batch=1))
    driver.ask("r1", size=2)
    driver.call("r1", "a", 1)
    driver.done("a-0", run_ms=12.0, after=0.012)
    driver.done("a-0", run_ms=10.0, after=0.01)
    driver(RequestEnded(request="r1", outcome="answered"))
    telemetry = driver.telemetry
    (figures,) = telemetry.classes.values()
    assert (figures.arrived, figures.in_time, figures.late, figures.failed) == (1, 1, 0, 0)
    assert figures.sizes.mean == 2
    assert abs(figures.latency_s.mean - 0.022) < 1e-9
    assert figures.minute.sums(driver.now) == (1.0, 1.0, 1.0)
    stage = telemetry.stages["a"]
    assert stage.fan_out.mean == 2
    assert abs(stage.waits_s.largest - 0.012) < 1e-9
    assert {items for _, items in telemetry.points} == {1, 2}
    ran = [told for told in driver.told if isinstance(told, Ran)]
    assert [(each.items, round(each.run_s, 3)) for each in ran] == [(2, 0.012), (1, 0.01)]
    assert telemetry.busy["here", "toy"].sums(driver.now) == (0.022,)


def test_late_failed_refused_and_cancelled_are_told_apart() -> None:
    """A client that went away counts neither as good nor as bad."""
    driver = Watched(make_plan({"a": 10.0}))
    for name in ("late", "failed", "gone"):
        driver.arrive(name, deadline=0.1)
    driver(RequestEnded(request="gone", outcome="cancelled"))
    driver(RequestEnded(request="failed", outcome="failed"))
    driver(RequestEnded(request="late", outcome="late"), after=0.2)
    request = Request(id="no", pipeline="toy", arrival=driver.now, deadline=driver.now + 1)
    refusal = RefuseRequest(request="no", kind=Refusal.OVERLOAD, reason="a test")
    driver.telemetry.observe(Record(at=driver.now, event=RequestArrived(request=request), effects=(refusal,)))
    (figures,) = driver.telemetry.classes.values()
    assert (figures.in_time, figures.late, figures.failed, dict(figures.refused)) == (0, 1, 1, {Refusal.OVERLOAD: 1})
    assert figures.minute.sums(driver.now) == (4.0, 3.0, 0.0)


def test_requests_that_come_with_their_only_call_count_as_others_do() -> None:
    """Answered, failed and refused; the calls of those that are refused do not count."""
    driver = Watched(make_plan({"a": 10.0}, slots=1, max_batch=1))
    driver.ask_at_once("r0")
    driver.ask_at_once("r1")
    driver.done("a-0", after=0.01)
    driver(BatchDone(batch=driver.scheduler.instances["a-0"].batches[0].id, run_ms=10.0, failed=("r1/0",)), after=0.01)
    for number in range(20):
        driver.ask_at_once(f"s{number}", deadline=0.05)
    telemetry = driver.telemetry
    (figures,) = telemetry.classes.values()
    refused = figures.refused[Refusal.OVERLOAD]
    assert (figures.arrived, figures.in_time, figures.failed) == (22, 1, 1)
    assert 0 < refused < 20
    assert telemetry.stages["a"].calls == 22 - refused
    assert abs(figures.latency_s.mean - 0.01) < 1e-9
    assert len(telemetry._requests) == len(telemetry._calls) == 20 - refused  # noqa: SLF001


def test_a_call_that_is_split_counts_once() -> None:
    """With all its items; its request ends when it is said to, not with the first part."""
    driver = Watched(make_pool({f"cpu-{number}": {1: 10.0, 100: 1000.0} for number in range(2)}))
    driver.ask_at_once("r", deadline=0.6, size=100, divisible=True)
    driver.done("cpu-0", after=0.5, run_ms=500)
    telemetry = driver.telemetry
    (figures,) = telemetry.classes.values()
    assert (telemetry.stages["a"].calls, figures.in_time) == (1, 0)
    driver.done("cpu-1", after=0.05, run_ms=550)
    driver(RequestEnded(request="r", outcome="answered"))
    assert (figures.in_time, telemetry.stages["a"].fan_out.mean) == (1, 1.0)
    assert telemetry.stages["a"].items.mean == 50
    assert [len(of) for of in (telemetry._requests, telemetry._calls, telemetry._batches)] == [0, 0, 0]  # noqa: SLF001


def test_instances_are_followed_through_their_states() -> None:
    """Started, ready, told to stop, gone; and whether that was wanted."""
    plan = make_plan({"a": 10.0}, slots=2)
    driver = Watched(plan)
    assert {each.state for each in driver.telemetry.instances.values()} == {InstanceState.READY}
    driver(InstanceDown(instance="a-1", reason="died"))
    died = driver.told[-1]
    driver(PlanChanged(plan=make_plan({"a": 10.0}, slots=1)))
    assert driver.telemetry.instances["a-1"].stopping
    driver(InstanceDown(instance="a-1", reason="stopped"))
    stopped = driver.told[-1]
    assert [getattr(each, "wanted", None) for each in (died, stopped)] == [True, False]
    assert driver.telemetry.instances.keys() == {"a-0"}


def test_memory_does_not_grow_with_what_clients_send() -> None:
    """Neither with classes that clients make up, nor with requests that have ended."""
    driver = Watched(make_plan({"a": 10.0}))
    telemetry = driver.telemetry
    for number in range(10 * MOST_CLASSES):
        name = f"r{number}"
        request = Request(
            id=name, pipeline="toy", arrival=driver.now, deadline=driver.now + 1, request_class=f"class {number}"
        )
        driver(RequestArrived(request=request), after=0.001)
        driver.call(name, "a")
        driver.done(driver.scheduler.batches[max(driver.scheduler.batches)].name, after=0.001)
        driver(RequestEnded(request=name, outcome="answered"))
    assert len(telemetry.classes) <= MOST_CLASSES + 1
    assert telemetry.classes["toy", OTHER].arrived == 9 * MOST_CLASSES
    assert [len(of) for of in (telemetry._requests, telemetry._calls, telemetry._batches)] == [0, 0, 0]  # noqa: SLF001


def test_what_began_before_it_watched_is_left_out() -> None:
    """Telemetry that joins late does not stumble over it."""
    telemetry = Telemetry()
    telemetry.observe(Record(at=1.0, event=RequestEnded(request="r1", outcome="answered"), effects=()))
    telemetry.observe(Record(at=1.0, event=BatchDone(batch=1, run_ms=1.0), effects=()))
    telemetry.observe(Record(at=1.0, event=InstanceDown(instance="a-0", reason="died"), effects=()))
    assert telemetry.classes == {}
