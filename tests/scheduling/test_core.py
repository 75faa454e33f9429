"""The core, event by event: no loop, no clock, no sleep."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    SetTimer,
    SkipCalls,
    SplitCall,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.scheduling.core import MAX_DEATHS
from heterosis.scheduling.policy import Split
from heterosis.scheduling.states import IllegalTransitionError
from heterosis.scheduling.view import View
from heterosis.terms import Call, Plan, Request
from heterosis.testing import Driver, make_plan, make_pool


def test_a_call_goes_to_an_idle_instance_at_once() -> None:
    """A call that finds an instance idle is sent to it."""
    driver = Driver(make_plan({"a": 10}))
    assert driver.arrive("r1") == []
    (run,) = driver.call("r1", "a")
    assert isinstance(run, RunBatch)
    assert run.calls == ("r1/0",)


def test_a_request_that_comes_with_its_only_call_takes_two_steps() -> None:
    """It is let in and sent to an instance at once, and gone when the batch is done."""
    driver = Driver(make_plan({"a": 10}))
    (run,) = driver.ask_at_once("r1")
    assert isinstance(run, RunBatch)
    assert run.calls == ("r1/0",)
    assert driver(BatchDone(batch=run.batch, run_ms=10, failed=run.calls), after=0.01) == []
    assert not driver.scheduler.requests


def test_a_request_that_comes_with_its_only_call_may_end_before() -> None:
    """While it waits or runs, as any other; and it is refused as any other, and waits for no stage that nobody runs."""
    driver = Driver(make_plan({"a": 10}, slots=1, max_batch=1))
    (run,) = driver.ask_at_once("r1")
    assert driver.ask_at_once("r2") == []
    for name in ("r1", "r2"):
        assert driver(RequestEnded(request=name, outcome="cancelled")) == []
    assert isinstance(run, RunBatch)
    assert driver(BatchDone(batch=run.batch, run_ms=10), after=0.01) == []
    (drop,) = driver.ask_at_once("r3", stage="b")
    assert isinstance(drop, DropCall)
    driver(RequestEnded(request="r3", outcome="failed"))
    for number in range(20):
        refused = driver.ask_at_once(f"s{number}", deadline=0.05)
    assert [type(effect) for effect in refused] == [RefuseRequest]
    assert "s19" not in driver.scheduler.requests


@pytest.mark.parametrize(("policy", "asked"), [("heterosis", [0, 1, 1, 2]), ("fcfs", [1, 2, 3, 4])])
def test_ours_is_asked_only_where_something_has_changed(
    policy: str, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when a request arrives, nor when one ends that had no call waiting; other policies always are."""
    driver = Driver(make_plan({"a": 10}, slots=1, max_batch=1, policy=policy))
    for name in ("r0", "r1", "r2"):
        driver.ask(name)
    ours = driver.scheduler._policy  # noqa: SLF001 - what is counted
    question, counts = Mock(wraps=ours.decide), []
    monkeypatch.setattr(ours, "decide", question)
    steps: list[Event] = [
        RequestArrived(request=Request(id="r3", pipeline="toy", arrival=0.0, deadline=0.1)),
        CallReady(call=Call(id="r3/0", request="r3", stage="a")),
        RequestEnded(request="r0", outcome="cancelled"),
        RequestEnded(request="r1", outcome="cancelled"),
    ]
    for event in steps:
        driver(event)
        counts.append(question.call_count)
    assert counts == asked


def test_instances_of_two_stages_on_one_slot_take_turns() -> None:
    """While one stage's instance runs on a slot, no other stage's instance on that slot is given a batch."""
    driver = Driver(make_plan({"a": 10, "b": 10}, slots=1))
    driver.arrive("r1")
    driver.arrive("r2")
    (run,) = driver.call("r1", "a")
    assert isinstance(run, RunBatch)
    assert driver.call("r2", "b") == []
    (follow,) = driver(BatchDone(batch=run.batch, run_ms=10), after=0.01)
    assert isinstance(follow, RunBatch)
    assert follow.instance == "b-0"


def test_calls_that_wait_are_batched_and_the_earliest_deadline_goes_first() -> None:
    """When an instance gets free, waiting calls form one batch, the most urgent first."""
    driver = Driver(make_plan({"a": 10}, slots=1, max_batch=2))
    driver.arrive("r0")
    (run,) = driver.call("r0", "a")
    assert isinstance(run, RunBatch)
    for name, deadline in (("late", 0.9), ("soon", 0.5), ("later", 1.0)):
        driver.arrive(name, deadline=deadline)
        assert driver.call(name, "a") == []
    (batch,) = driver(BatchDone(batch=run.batch, run_ms=10), after=0.01)
    assert isinstance(batch, RunBatch)
    assert batch.calls == ("soon/0", "late/0")


def test_a_batch_is_no_larger_than_its_most_urgent_call_can_bear() -> None:
    """A call whose deadline leaves time for a batch of one only is run alone."""
    driver = Driver(make_plan({"a": 10}, slots=1, max_batch=4))
    driver.arrive("r0")
    (run,) = driver.call("r0", "a")
    assert isinstance(run, RunBatch)
    driver.arrive("urgent", deadline=0.01 + 0.015)
    driver.call("urgent", "a")
    driver.arrive("calm", deadline=1.0)
    driver.call("calm", "a")
    (batch,) = driver(BatchDone(batch=run.batch, run_ms=10), after=0.01)
    assert isinstance(batch, RunBatch)
    assert batch.calls == ("urgent/0",)


def test_a_hopeless_call_is_dropped_before_it_costs_anything() -> None:
    """A call that not even an immediate start would save is dropped, as late."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    driver.arrive("r0")
    (run,) = driver.call("r0", "a")
    assert isinstance(run, RunBatch)
    driver.arrive("r1", deadline=0.015)
    assert driver.call("r1", "a") == []
    (drop,) = driver(BatchDone(batch=run.batch, run_ms=10), after=0.01)
    assert isinstance(drop, DropCall)
    assert (drop.call, drop.kind) == ("r1/0", Refusal.LATE)


def test_requests_beyond_capacity_are_refused_at_their_arrival() -> None:
    """Once the admitted work fills the time until the deadline, a request is told when to try again."""
    driver = Driver(make_plan({"a": 5, "b": 5}, slots=1, max_batch=1))
    answers = [driver.arrive(f"r{number}", deadline=0.1) for number in range(12)]
    assert answers[:10] == [[]] * 10
    (refusal,) = answers[-1]
    assert isinstance(refusal, RefuseRequest)
    assert refusal.kind is Refusal.OVERLOAD
    assert refusal.retry_after_s > 0


def test_calls_of_a_dead_instance_run_elsewhere_and_it_is_restarted() -> None:
    """An instance that dies gives its calls back; they go to another at once."""
    driver = Driver(make_plan({"a": 10}, slots=2))
    driver.arrive("r1")
    (run,) = driver.call("r1", "a")
    assert isinstance(run, RunBatch)
    restart, again = driver(InstanceDown(instance=run.instance, reason="was killed"))
    assert isinstance(restart, StartInstance)
    assert isinstance(again, RunBatch)
    assert again.calls == run.calls
    assert again.instance != run.instance


def test_a_call_that_kills_every_instance_is_poison() -> None:
    """A call that saw several instances die is dropped, so that it cannot take down the rest."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    driver.arrive("r1", deadline=100.0)
    effects = driver.call("r1", "a")
    for _ in range(MAX_DEATHS):
        (run,) = [effect for effect in effects if isinstance(effect, RunBatch)]
        effects = driver(InstanceDown(instance="a-0", reason="was killed"))
        for timer in [effect for effect in effects if isinstance(effect, SetTimer)]:
            driver(TimerFired(key=timer.key), after=timer.at - driver.now)
        if not any(isinstance(effect, DropCall) for effect in effects):
            effects = driver(InstanceReady(instance="a-0"))
    assert [effect.kind for effect in effects if isinstance(effect, DropCall)] == [Refusal.POISON]
    assert run.calls == ("r1/0",)


def test_an_instance_that_keeps_failing_is_restarted_ever_more_slowly() -> None:
    """The first restart is immediate, the pauses after that double."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    (first,) = driver(InstanceDown(instance="a-0", reason="x"))
    assert isinstance(first, StartInstance)
    pauses = []
    for _ in range(3):
        (timer,) = driver(InstanceDown(instance="a-0", reason="x"))
        assert isinstance(timer, SetTimer)
        pauses.append(timer.at - driver.now)
        (start,) = driver(TimerFired(key=timer.key), after=pauses[-1])
        assert isinstance(start, StartInstance)
    assert pauses == pytest.approx([0.5, 1.0, 2.0])


def test_an_ended_request_takes_its_waiting_calls_along() -> None:
    """When a client goes away, its waiting calls are never run."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    driver.arrive("r0")
    (run,) = driver.call("r0", "a")
    assert isinstance(run, RunBatch)
    driver.arrive("gone")
    driver.call("gone", "a")
    driver(RequestEnded(request="gone", outcome="cancelled"))
    assert driver(BatchDone(batch=run.batch, run_ms=10), after=0.01) == []


def test_what_a_new_plan_leaves_out_finishes_its_batch_and_stops() -> None:
    """An instance that is no longer planned takes nothing new, and stops when its batch is done."""
    plan = make_plan({"a": 10}, slots=2)
    driver = Driver(plan)
    driver.arrive("r1")
    (run,) = driver.call("r1", "a")
    assert isinstance(run, RunBatch)
    assert run.instance == "a-0"
    assert driver(PlanChanged(plan=make_plan_without(plan, "a-0"))) == []
    driver.arrive("r2")
    (other,) = driver.call("r2", "a")
    assert isinstance(other, RunBatch)
    assert other.instance == "a-1"
    (stop,) = driver(BatchDone(batch=run.batch, run_ms=10), after=0.01)
    assert isinstance(stop, StopInstance)
    assert stop.instance == "a-0"
    assert driver(InstanceDown(instance="a-0", reason="stopped")) == []


@pytest.mark.parametrize(("run_ms", "below_ms", "held"), [(1, 5, 2), (10, 5, 1), (10, 20, 2), (1, 0, 1)])
def test_short_batches_on_slots_of_their_own_are_held_two_deep(run_ms: float, below_ms: float, held: int) -> None:
    """Where the hop would cost more than it should, an instance is given its next batch in advance; never a third."""
    plan = make_plan({"a": run_ms}, slots=1, max_batch=1)
    placements = tuple(replace(each, prefetch_below_ms=float(below_ms)) for each in plan.placements)
    driver = Driver(replace(plan, placements=placements))
    for number in range(3):
        driver.arrive(f"r{number}")
    given = [effect for number in range(3) for effect in driver.call(f"r{number}", "a")]
    assert [effect.calls for effect in given if isinstance(effect, RunBatch)] == [("r0/0",), ("r1/0",)][:held]


def test_a_batch_held_in_advance_is_expected_to_end_by_when_it_began() -> None:
    """However late each batch ends, the end of the next is not foretold too early by what all before were late."""
    driver = Driver(make_plan({"a": 1.0}, slots=1, max_batch=1))
    for number in range(20):
        driver.arrive(f"r{number}", deadline=10.0)
        driver.call(f"r{number}", "a")
    (instance,) = driver.scheduler.instances.values()
    expected_s = instance.batches[0].expected_s
    for _ in range(15):
        driver(BatchDone(batch=instance.batches[0].id, run_ms=expected_s * 1e3), after=1.5 * expected_s)
        running, held = instance.batches
        assert running.expected_end == pytest.approx(driver.now + expected_s)
        assert held.expected_end == pytest.approx(instance.until) == pytest.approx(driver.now + 2 * expected_s)


def test_fcfs_refuses_and_drops_nothing() -> None:
    """The plain policy serves even what is hopelessly late, in order of arrival."""
    driver = Driver(make_plan({"a": 10}, slots=1, max_batch=1, policy="fcfs"))
    driver.arrive("r0")
    (run,) = driver.call("r0", "a")
    assert isinstance(run, RunBatch)
    driver.arrive("first", deadline=0.001)
    driver.now += 0.001
    driver.arrive("second", deadline=0.0001)
    driver.call("second", "a")
    driver.call("first", "a")
    (next_one,) = driver(BatchDone(batch=run.batch, run_ms=10), after=1.0)
    assert isinstance(next_one, RunBatch)
    assert next_one.calls == ("first/0",)


def test_the_parts_of_a_call_stand_for_it() -> None:
    """They run side by side, each with items of its own; one whose instance goes down runs elsewhere."""
    driver = Driver(make_pool({f"cpu-{number}": {1: 10.0, 100: 1000.0} for number in range(3)}))
    split, *batches = driver.ask("r", deadline=0.8, size=100, divisible=True)
    assert isinstance(split, SplitCall)
    assert (split.call, [(part.id, part.size) for part in split.parts]) == ("r/0", [("r/0/0", 50), ("r/0/1", 50)])
    assert [(run.instance, run.calls) for run in batches if isinstance(run, RunBatch)] == [
        ("cpu-0", ("r/0/0",)),
        ("cpu-1", ("r/0/1",)),
    ]
    again = driver(InstanceDown(instance="cpu-0", reason="killed"), after=0.1)
    assert [run.calls for run in again if isinstance(run, RunBatch)] == [("r/0/0",)]
    driver.done("cpu-1", after=0.4, run_ms=500)
    assert list(driver.scheduler.requests["r"].calls) == ["r/0/0"]
    driver.done("cpu-2", after=0.1, run_ms=500)
    assert not driver.scheduler.requests["r"].calls


def test_parts_have_all_the_items_of_a_divisible_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that makes some up, or splits what belongs together, is wrong."""
    for sizes, divisible in (((2, 2), True), ((3, 0), True), ((2, 1), False)):
        driver = Driver(make_plan({"a": 10}))
        driver.arrive("r", size=3, divisible=divisible)
        policy = driver.scheduler._policy  # noqa: SLF001 - what is put wrong

        def decide(view: View, sizes: tuple[int, ...] = sizes) -> Iterator[Split]:
            head = view.queues["a"].head
            assert head is not None
            yield Split(head, sizes, "wrong")

        monkeypatch.setattr(policy, "decide", decide)
        with pytest.raises(IllegalTransitionError, match="split call r/0 of 3 items"):
            driver.call("r", "a", size=3)


def test_an_impossible_event_is_refused_loudly() -> None:
    """Events that cannot be are defects of the driver, and raise."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    with pytest.raises(IllegalTransitionError, match="a-0: ready -> ready"):
        driver(InstanceReady(instance="a-0"))
    with pytest.raises(IllegalTransitionError, match="backwards"):
        driver.scheduler.handle(TimerFired(key="wake"), -1.0)


def test_a_stage_without_instances_is_said_to_be_unavailable() -> None:
    """A call of a stage that the plan does not know fails at once instead of waiting for ever."""
    driver = Driver(make_plan({"a": 10}))
    driver.arrive("r1")
    (drop,) = driver.call("r1", "b")
    assert isinstance(drop, DropCall)
    assert drop.kind is Refusal.UNAVAILABLE


def make_plan_without(plan: Plan, instance: str) -> Plan:
    """Leave one instance out of a plan."""
    import msgspec

    kept = tuple(placement for placement in plan.placements if placement.instance != instance)
    return msgspec.structs.replace(plan, placements=kept)


@pytest.mark.parametrize("busy", [False, True])
def test_an_instance_may_turn_out_to_be_of_another_type(busy: bool) -> None:  # noqa: FBT001
    """It runs on without a new start, and from then on what it takes is judged by the other type's figures."""
    plan = make_plan({"a": 10.0}, slots=2)
    driver = Driver(plan)
    if busy:
        driver.ask("r0")
    slow = replace(plan.placements[0].configuration, device_type="toy x2.00")
    changed = replace(
        plan,
        placements=(replace(plan.placements[0], configuration=slow), *plan.placements[1:]),
        points=(
            *plan.points,
            *(
                replace(point, configuration=slow, latency=replace(point.latency, mean_ms=2 * point.latency.mean_ms))
                for point in plan.points
            ),
        ),
    )
    assert not [each for each in driver(PlanChanged(plan=changed)) if isinstance(each, StartInstance | StopInstance)]
    assert driver.scheduler.instances["a-0"].configuration == slow
    assert driver.scheduler.view.can_take(driver.scheduler.instances["a-0"]) is not busy
    if busy:
        driver.done("a-0", after=0.01)
    for number in range(1, 3):
        driver.ask(f"r{number}", after=0.001)
    driver.done("a-0", run_ms=20.0, after=0.02)
    driver.done("a-1", after=0.02)
    assert driver.scheduler.estimates.mean(slow, 1) == pytest.approx(0.02, rel=0.05)


def test_calls_of_a_batch_that_is_held_but_not_run_yet_are_freed_when_their_request_ends() -> None:
    """The instance is told to leave them out; the others in the batch run, and only what ran teaches the estimates."""
    driver = Driver(make_plan({"a": 4}, slots=1, max_batch=2, policy="fcfs"))
    driver.ask("r1", deadline=1.0)
    (held,) = driver.ask("r2", deadline=1.0)
    assert isinstance(held, RunBatch)  # held in advance, to hide the hop
    assert driver(RequestEnded(request="r1", outcome="cancelled")) == []  # that one runs
    (skip,) = driver(RequestEnded(request="r2", outcome="cancelled"))
    assert skip == SkipCalls(batch=held.batch, instance="a-0", calls=("r2/0",), reason="request cancelled")
    driver.done("a-0", run_ms=4)
    before = dict(driver.scheduler.estimates.drift)
    driver(BatchDone(batch=held.batch, run_ms=0.01, skipped=("r2/0",)))
    assert driver.scheduler.estimates.drift == before
    (run,) = driver.ask("r3")
    assert isinstance(run, RunBatch)


def test_a_new_plan_keeps_no_batch_open_for_longer() -> None:
    """A call that waits for a fuller batch has waited, whatever plan is in force."""
    driver = Driver(make_plan({"a": 10}, slots=1))
    driver.arrive("r0")
    driver.call("r0", "a")
    driver.ask("r1", deadline=1.0)
    since = driver.scheduler.requests["r1"].calls["r1/0"].since
    driver(PlanChanged(plan=driver.plan), after=0.01)
    assert driver.scheduler.requests["r1"].calls["r1/0"].since == since
