"""Pace: the load that says how slow the devices may run."""

from itertools import count
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.scheduling.policies.pace import KNEE, MEMORY, Pace
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View
from heterosis.terms import Call, Request
from heterosis.testing import Driver, make_plan

SLOTS = 2
SLO_S = 0.1
PLANNED_RPS = 0.001


class Load:
    """A pace that is told of calls of stages ``a`` and ``b``, in a chain, on one device."""

    def __init__(self) -> None:
        """Start nearly without load."""
        plan = make_plan({"a": 10.0, "b": 20.0}, slots=SLOTS, slo_ms=SLO_S * 1e3, rate_rps=PLANNED_RPS)
        self.view: View = Driver(plan).scheduler.view
        self.pace = Pace(self.view)
        self._numbers = count()

    def take(self, request: Request, stage: str) -> None:
        """Let a call wait."""
        call = Call(id=f"{request.id}/{next(self._numbers)}", request=request.id, stage=stage)
        self.pace.arrived(self.view, CallRecord(call, request))

    def now(self) -> float:
        """Tell the speed that is needed: what a lone device has no room to give up."""
        return 1 - self.pace.resolve(self.view, {})[1]

    def request(self, name: str = "r", limit_s: float = SLO_S) -> Request:
        """A request that arrives now."""
        return Request(id=name, pipeline="toy", arrival=self.view.now, deadline=self.view.now + limit_s)

    def work_s(self, stage: str) -> float:
        """Slot time of a call."""
        return self.view.capacity.work[stage, 1]


def test_a_request_counts_with_all_its_work_as_soon_as_it_comes() -> None:
    """Spread over the time to its deadline; its later stage adds nothing, a second call of that does."""
    load, before = Load(), Load().now()
    request = load.request()
    load.take(request, "a")
    whole_s = load.work_s("a") + load.view.capacity.tails["a"]
    assert load.now() == pytest.approx(whole_s / SLO_S / SLOTS)
    assert load.now() > before
    foreseen = load.view.capacity.tails["a"] - load.work_s("b")
    load.take(request, "b")
    assert load.now() == pytest.approx(whole_s / SLO_S / SLOTS)
    load.take(request, "b")
    assert load.now() == pytest.approx((whole_s + load.work_s("b") - foreseen) / SLO_S / SLOTS)


def test_a_burst_is_over_with_its_deadlines_but_not_forgotten_at_once() -> None:
    """What stays is its share of a longer time, which fades."""
    load = Load()
    for number in range(3):
        load.take(load.request(f"r{number}"), "b")
    peak = load.now()
    load.view.now = SLO_S * 1.01
    lull = load.now()
    assert peak == pytest.approx(3 * load.work_s("b") / SLO_S / SLOTS)
    assert lull == pytest.approx(peak * exp(-1.01 / MEMORY) / MEMORY / KNEE, rel=0.01)
    load.view.now = SLO_S * MEMORY
    assert load.now() < lull / 2


def test_what_is_late_anyway_asks_for_one_slot_at_the_most() -> None:
    """A request with less time than it needs, and one with none, do not count for the whole fleet."""
    load, late = Load(), Load()
    load.take(load.request(limit_s=1e-4), "a")
    assert load.now() == pytest.approx(1 / SLOTS)
    late.take(late.request(limit_s=-1.0), "a")
    assert late.now() == Load().now()


@given(st.lists(st.tuples(st.floats(0, 0.05), st.floats(0.05, 0.5), st.sampled_from("ab")), max_size=20))
def test_the_load_is_the_work_over_the_time_that_is_given_to_it(asked: list[tuple[float, float, str]]) -> None:
    """At every moment at least the sum over the requests whose time is not over; in the end none of them is left."""
    load, parts = Load(), []
    for number, (gap, limit_s, stage) in enumerate(asked):
        load.view.now += gap
        request = load.request(f"r{number}", limit_s)
        load.take(request, stage)
        work_s = load.work_s(stage) + load.view.capacity.tails[stage]
        parts.append((request.deadline, work_s / max(limit_s, work_s) / SLOTS))
        expected = sum(part for deadline, part in parts if deadline > load.view.now)
        assert load.now() >= min(expected, 1.0) - 1e-9
    load.view.now += 100.0
    assert load.now() == pytest.approx(0.0, abs=1e-6)
