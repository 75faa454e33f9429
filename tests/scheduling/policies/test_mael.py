"""MAEL: windows, joint search by the sum of latencies, shortest first at each processor."""

import numpy as np
import pytest

from heterosis.scheduling import SetTimer, TimerFired
from heterosis.scheduling.policies.early_binding import Bound, Line
from heterosis.scheduling.policies.joint_search import Candidate, check, chunk_size, search
from heterosis.scheduling.policies.mael import Mael
from heterosis.scheduling.policies.slo_mael import last, summed
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.studies.slo_mael.setting import make_plan
from heterosis.terms import Call, Request
from heterosis.testing import Driver, runs

P = (("n", "p", 0),)
Q = (("n", "q", 0),)


def board(policy: str = "mael") -> Driver:
    """Drive a policy on three processors that each can run any of six models, one at a time."""
    return Driver(make_plan(policy, 5, 1.0, 0))


def end_window(driver: Driver, at: float) -> list[tuple[str, tuple[str, ...]]]:
    """Let the timer of a window's end ring; list what begins to run."""
    return runs(driver(TimerFired(key="wake"), after=at - driver.now))


def candidate(deadline_ms: float, *run_ms: float) -> Candidate:
    """Make a request that can run on both processors."""
    return Candidate(deadline_ms, (P, Q), run_ms)


def test_requests_wait_for_the_end_of_their_window() -> None:
    """Nothing runs before 10 ms have passed, though all processors are idle; a timer is set for then, once."""
    driver = board()
    effects = driver.ask("a", "lenet", after=0.012)
    assert [effect.at for effect in effects if isinstance(effect, SetTimer)] == [pytest.approx(0.02)]
    assert driver.ask("b", "squeezenet", after=0.003) == []
    assert end_window(driver, 0.02) == [("lenet@gpu", ("a",)), ("squeezenet@dsp", ("b",))], "5 ms on both: the last"


def test_what_arrives_as_a_window_ends_belongs_to_the_next() -> None:
    """At 10 ms sharp the second window has begun."""
    driver = board()
    driver.ask("a", "lenet", after=0.01)
    assert end_window(driver, 0.02) == [("lenet@gpu", ("a",))]


def test_the_load_is_book_kept_without_looking() -> None:
    """A batch that runs far longer than its profile says takes calls of its model in long before it is done."""
    driver = board()
    driver.ask("a", "squeezenet", deadline=1.0)
    assert end_window(driver, 0.01) == [("squeezenet@dsp", ("a",))]
    driver.ask("b", "squeezenet", deadline=1.0, after=0.05)
    assert end_window(driver, 0.07) == [], "the DSP should long be free: bound there, though it runs on"
    assert runs(driver.done("squeezenet@dsp", after=0.5)) == [("squeezenet@dsp", ("b",))]


def queued(name: str, key: float) -> Bound:
    """Make a call that stands in a line."""
    plan = make_plan("mael", 5, 1.0, 0)
    request = Request(id=name, pipeline="slo-mael", arrival=0.0, deadline=1.0)
    record = CallRecord(Call(id=f"{name}/0", request=name, stage="lenet"), request)
    return Bound(record, InstanceRecord(plan.placements[0], 1), since=0.0, run_s=key, key=key)


def test_the_shortest_goes_first_until_another_has_waited_through_a_turn() -> None:
    """A resnet of 37 ms lets a lenet pass once; then its key is a tenth, and it goes before the next lenet."""
    policy, line = Mael(), Line()
    long = queued("long", 0.037)
    line.keep([long, queued("short", 0.005)])
    first = policy.select(line.waiting, line)
    assert first.record.request.id == "short"
    line.keep([long, queued("later", 0.005)])
    assert policy.select(line.waiting, line) is long


def test_the_search_finds_the_least_sum_over_all_combinations() -> None:
    """Both are fastest on Q; it is better that the one which loses less there goes to P."""
    chosen, loads = search([candidate(99, 10.0, 6.0), candidate(99, 20.0, 6.0)], {P: 0.0, Q: 0.0}, None)
    assert chosen == [0, 1]
    assert loads == {P: 10.0, Q: 6.0}


def test_loads_count_and_are_cut_to_whole_milliseconds() -> None:
    """Q is busy for 9 ms: 5.9 ms more make 14, which P beats."""
    chosen, loads = search([candidate(99, 12.9, 5.9)], {P: 0.0, Q: 9.0}, None)
    assert chosen == [0]
    assert loads == {P: 12.0, Q: 9.0}


def test_the_check_is_one_with_half_to_spare_and_falls_with_lateness() -> None:
    """1.5 t of D: 1 up to there, beyond it -150 t / D, cut."""
    checks = check(np.array([30.0, 30.0, 30.0]), np.array([20.0, 21.0, 47.0]))
    assert checks.tolist() == [1.0, -105.0, -235.0]


def test_the_sum_of_checks_and_the_last_check_choose_differently() -> None:
    """Only the second request is looked at as published: it takes P, which the first needs more."""
    requests = [candidate(15.0, 10.0, 40.0), candidate(30.0, 19.0, 25.0)]
    assert search(requests, {}, last)[0] == [1, 0]
    assert search(requests, {}, summed)[0] == [0, 1]


def test_ties_go_to_the_least_sum_of_latencies() -> None:
    """Both processors have time to spare; the faster one is taken."""
    assert search([candidate(99, 20.0, 10.0)], {}, summed)[0] == [1]


@pytest.mark.parametrize(("processors", "together"), [(1, 6), (3, 6), (4, 4), (10, 2), (40, 1), (1000, 1)])
def test_fewer_are_assigned_together_where_there_are_more_processors(processors: int, together: int) -> None:
    """So that no more than 3^6 combinations are tried, as long as more than one request is."""
    assert chunk_size(processors, 6) == together
