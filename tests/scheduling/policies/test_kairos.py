"""KAIROS: a linear assignment of the first calls to all instances, idle and busy."""

import pytest
from msgspec.structs import replace

from heterosis.scheduling.policies.kairos import LITTLE_SLACK_COST, NO_SLACK_COST, _costs, _Profile
from heterosis.scheduling.state import CallRecord
from heterosis.terms import Call, Request
from heterosis.testing import Driver, make_pool, runs

TIMES = {"gpu": (10.0, 0.1), "cpu-0": (2.0, 0.4), "cpu-1": (2.0, 0.4)}
"""Milliseconds a call, and an item: 110 and 402 ms for 1000 items."""


def drive(*machines: str) -> Driver:
    """Drive KAIROS on machines whose times are known at each ten items."""
    times = {name: {size: TIMES[name][0] + TIMES[name][1] * size for size in range(10, 1001, 10)} for name in machines}
    return Driver(make_pool(times, policy="kairos"))


def call_of(*, size: int, arrival: float, deadline: float) -> CallRecord:
    """Make the call of a request."""
    request = Request(id="r", pipeline="toy", arrival=arrival, deadline=deadline, size=size)
    return CallRecord(Call(id="r/0", request="r", stage="a", size=size), request)


def test_the_coefficient_is_the_base_types_time_over_each_types_own_at_the_largest_size() -> None:
    """110 ms over 402 ms, to two places; the base type has 1."""
    assert _Profile(drive(*TIMES).plan, "a").coefficients == pytest.approx([1.0, 0.27])


def test_sizes_are_rounded_up_to_what_was_profiled() -> None:
    """A call of 101 items costs as much as one of 110."""
    assert _Profile(drive(*TIMES).plan, "a").run_ms(101) == pytest.approx([21.0, 46.0])


def test_costs_are_weighted_finish_times_and_penalties() -> None:
    """What is in time, what has little slack, what has none, and what is late already, on idle and busy machines."""
    driver = drive(*TIMES)
    assert runs(driver.ask("running", deadline=10.0, size=1000)) == [("cpu-0", ("running",))]
    view = driver.scheduler.view
    view.now = now = 0.05
    calls = [
        call_of(size=100, arrival=now, deadline=now + 10.0),
        call_of(size=100, arrival=now, deadline=now + 0.0425),
        call_of(size=100, arrival=now, deadline=now + 0.03),
        call_of(size=100, arrival=now - 0.2, deadline=now - 0.1),
    ]
    costs = _costs(view, _Profile(driver.plan, "a"), calls, list(view.instances.values()))
    gpu, busy, idle = 20.0, 0.27 * (402 - 50 + 42), 0.27 * 42
    assert costs[0] == pytest.approx([gpu, busy, idle])
    assert costs[1] == pytest.approx([gpu, NO_SLACK_COST, LITTLE_SLACK_COST])
    assert costs[2] == pytest.approx([gpu, NO_SLACK_COST, NO_SLACK_COST])
    assert costs[3] == pytest.approx([gpu, busy, idle])


def test_small_calls_go_where_time_is_cheap_and_large_ones_where_they_are_in_time() -> None:
    """The weighted time of a small call is less on a slow machine; a large one would be late there."""
    driver = drive(*TIMES)
    assert runs(driver.ask("small", deadline=0.2, size=100)) == [("cpu-0", ("small",))]
    assert runs(driver.ask("large", deadline=0.2, size=900)) == [("gpu", ("large",))]


def test_a_call_waits_for_a_busy_machine_rather_than_be_late_on_an_idle_one() -> None:
    """It is matched with the busy machine, which is not dispatched to; it goes there when that is idle."""
    driver = drive(*TIMES)
    driver.ask("first", deadline=0.2, size=900)
    assert runs(driver.ask("second", deadline=0.25, size=900)) == []
    assert runs(driver.done("gpu", run_ms=100, after=0.1)) == [("gpu", ("second",))]


def test_a_call_that_is_late_already_takes_any_machine() -> None:
    """No penalty keeps it from an idle one."""
    driver = drive(*TIMES)
    driver.ask("first", deadline=0.2, size=900)
    driver.ask("second", deadline=0.11, size=900)
    assert runs(driver.ask("third", deadline=10.0, size=900, after=0.12)) == [
        ("cpu-0", ("second",)),
        ("cpu-1", ("third",)),
    ]


def test_only_the_first_calls_are_matched_two_for_each_machine() -> None:
    """On one machine the cheaper of the first two goes next, though the third would be cheaper still."""
    driver = drive("gpu")
    for name, size in (("running", 10), ("first", 500), ("second", 400), ("third", 10)):
        driver.ask(name, deadline=10.0, size=size)
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("second",))]


def test_machines_without_slots_are_busy_with_what_they_run() -> None:
    """A plan may leave sharing to the operating system."""
    plan = make_pool({"gpu": {10: 11.0}}, policy="kairos")
    driver = Driver(replace(plan, placements=tuple(replace(each, slots=()) for each in plan.placements)))
    assert runs(driver.ask("first", deadline=1.0)) == [("gpu", ("first",))]
    assert runs(driver.ask("second", deadline=1.0)) == []
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("second",))]
