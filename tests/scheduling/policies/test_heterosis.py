"""Ours: who goes first, while the SLO is safe and when it is at risk."""

import heapq
import itertools
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Effect,
    Event,
    InstanceReady,
    PlanChanged,
    RequestArrived,
    RunBatch,
    Scheduler,
    SetTimer,
    StartInstance,
    TimerFired,
)
from heterosis.studies.kairos import at_load
from heterosis.terms import Call, Request
from heterosis.terms.joining import joined, qualified
from heterosis.testing import Driver, make_plan, make_pool, runs

MACHINES = {"gpu": {1: 10.0, 2: 20.0}, "cpu": {1: 40.0, 2: 80.0}}
"""Milliseconds of a call, by its items."""


@pytest.mark.parametrize(("policy", "first"), [("heterosis", "scarce"), ("heterosis:without_scarcity", "flexible")])
def test_who_fits_in_fewer_places_goes_first(policy: str, first: str) -> None:
    """When the GPU gets free: one call can wait for the CPU as well, and has less time for that; the other cannot."""
    driver = Driver(make_pool(MACHINES, max_batch=2, policy=policy))
    assert runs(driver.ask("on the gpu", size=2))[0][0] == "gpu"
    assert runs(driver.ask("on the cpu", deadline=0.2, size=2))[0][0] == "cpu"
    assert driver.ask("flexible", deadline=0.115, after=0.015) == []
    assert driver.ask("scarce", deadline=0.125, size=2) == []
    assert runs(driver.done("gpu", after=0.005, run_ms=20)) == [("gpu", (first,))]


@pytest.mark.parametrize(
    ("gpu_ms", "policy", "tried"),
    [(45.0, "heterosis", 1), (20.0, "heterosis", 0), (45.0, "heterosis:without_odds", 0)],
)
def test_who_would_wait_long_for_few_slots_is_tried_on_those_that_are_many(
    gpu_ms: float, policy: str, tried: int
) -> None:
    """A call is in time for sure on the one GPU alone; on a CPU, which gets free first, it is so nearly always."""
    pool = make_pool(
        {"gpu": {1: 10.0, 2: gpu_ms}, "cpu": MACHINES["cpu"], "cpu-1": MACHINES["cpu"]}, policy=policy, max_batch=2
    )
    points = [
        replace(point, latency=replace(point.latency, p95_ms=1.2 * point.latency.mean_ms))
        if point.configuration.device_type == "cpu"
        else point
        for point in pool.points
    ]
    driver = Driver(replace(pool, points=tuple(points)))
    assert runs(driver.ask("on the gpu", deadline=0.06, size=2))[0][0] == "gpu"
    for machine in ("cpu", "cpu-1"):
        assert runs(driver.ask(f"on {machine}", deadline=0.2, size=2))[0][0] == machine
    assert driver.ask("large", deadline=0.1, size=2) == []
    assert len(runs(driver.done("cpu", after=0.005, run_ms=80))) == tried


FOUR = {f"cpu-{number}": {1: 10.0, 100: 1000.0} for number in range(4)}


@pytest.mark.parametrize(
    ("deadline", "policy", "sizes"),
    [
        (1.5, "heterosis", [100]),
        (0.6, "heterosis", [50, 50]),
        (0.35, "heterosis", [34, 33, 33]),
        (0.6, "heterosis:without_splitting", []),
    ],
)
def test_a_call_is_split_into_as_few_parts_as_are_in_time(deadline: float, policy: str, sizes: list[int]) -> None:
    """Of a hundred items, a second's work for one instance, where four are idle; whole where that is in time."""
    driver = Driver(make_pool(FOUR, policy=policy))
    effects = driver.ask("r", deadline=deadline, size=100, divisible=True)
    records = driver.scheduler.requests["r"].calls.values()
    assert [record.call.size for record in records] == sizes
    assert len(runs(effects)) == len(sizes)


def test_a_call_whose_items_belong_together_is_never_split() -> None:
    """It is dropped where no instance can be in time."""
    driver = Driver(make_pool(FOUR))
    effects = driver.ask("r", deadline=0.6, size=100)
    assert [type(effect) for effect in effects] == [DropCall]


def test_a_call_waits_for_as_many_instances_as_it_has_parts() -> None:
    """As long as a split can still be in time."""
    driver = Driver(make_pool(FOUR))
    for number in range(3):
        driver.ask(f"small-{number}", size=5)
    assert runs(driver.ask("large", deadline=0.7, size=100, divisible=True)) == []
    assert len(runs(driver.done("cpu-0", after=0.05, run_ms=50))) == 2


def test_who_finds_idle_instances_taken_by_another_is_split_later() -> None:
    """Of two that wait for two instances each, the second stays whole until there are two for it."""
    driver = Driver(make_pool(FOUR))
    for number in range(3):
        driver.ask(f"small-{number}", size=5)
    for name, size, deadline in (("first", 60, 0.35), ("second", 100, 0.85)):
        assert runs(driver.ask(name, deadline=deadline, size=size, divisible=True)) == []
    assert [who for _, (who,) in runs(driver.done("cpu-0", after=0.05, run_ms=50))] == ["first"] * 2
    assert [record.call.size for record in driver.scheduler.requests["second"].calls.values()] == [100]
    assert driver.done("cpu-1", run_ms=50) == []
    assert [who for _, (who,) in runs(driver.done("cpu-2", run_ms=50))] == ["second"] * 2


def test_splitting_keeps_the_largest_in_time() -> None:
    """At the load that KAIROS allows, it halves the violations among the tenth that has the most items."""
    split, whole = (
        at_load("ncf", policy, 6408.0, requests=4000).largest_decile_violations
        for policy in ("heterosis", "heterosis:without_splitting")
    )
    assert split < 0.7 * whole


def test_overload_of_one_pipeline_refuses_none_of_another_on_slots_of_its_own() -> None:
    """Who competes for slots shares a backlog; who does not, does not pay for it."""
    one, other = (qualified(make_plan({"a": 20.0}, slots=1, max_batch=1), key) for key in ("one", "other"))
    moved = replace(other, placements=tuple(replace(each, device="second") for each in other.placements))
    driver = Driver(joined(one, moved))

    def arrive(name: str, pipeline: str) -> list[Effect]:
        request = Request(id=name, pipeline=pipeline, arrival=driver.now, deadline=driver.now + 0.1)
        return driver(RequestArrived(request=request))

    refused = [bool(arrive(f"r{number}", "one")) for number in range(10)]
    assert refused.count(False) in {4, 5}  # of 20 ms each, on one slot, within 100 ms
    assert arrive("s", "other") == []


STEPS = st.tuples(st.floats(0, 0.02), st.sampled_from([0.01, 0.05, 0.2, 0.2, 0.2]), st.sampled_from("xxxxy"))


@given(
    slots=st.integers(1, 3),
    max_batch=st.sampled_from([1, 4]),
    base_ms=st.sampled_from([1.0, 10.0]),
    slo_ms=st.sampled_from([20.0, 200.0]),
    steps=st.lists(STEPS, max_size=60),
)
def test_the_short_cut_for_calls_that_are_alike_decides_as_the_list_does(
    slots: int, max_batch: int, base_ms: float, slo_ms: float, steps: list[tuple[float, float, str]]
) -> None:
    """The same effects, reasons included, in light load and in a crowd."""
    plan = make_plan({"a": base_ms}, slots=slots, max_batch=max_batch, slo_ms=slo_ms)
    fast = Run(Scheduler(plan), base_ms).effects(steps)
    with mock.patch("heterosis.scheduling.policies.heterosis.alike", return_value=None):
        assert Run(Scheduler(plan), base_ms).effects(steps) == fast


class Run:
    """Drives a scheduler through arrivals, each batch in the time that it always takes."""

    def __init__(self, scheduler: Scheduler, base_ms: float) -> None:
        """Start the plan."""
        self._scheduler = scheduler
        self._base_ms = base_ms
        self._seen: list[tuple[float, Effect]] = []
        self._due: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()

    def effects(self, steps: list[tuple[float, float, str]]) -> list[tuple[float, Effect]]:
        """All effects; a step is the time before a request, the time that it has, and its class."""
        now = 0.0
        self._handle(PlanChanged(plan=self._scheduler.plan), now)
        for number, (wait, limit, request_class) in enumerate(steps):
            now += wait
            self._settle(now)
            name, deadline = f"r{number}", now + limit
            request = Request(id=name, pipeline="toy", arrival=now, deadline=deadline, request_class=request_class)
            self._handle(RequestArrived(request=request), now)
            if name in self._scheduler.requests:
                self._handle(CallReady(call=Call(id=f"{name}/0", request=name, stage="a")), now)
        self._settle(now + 10)
        return self._seen

    def _settle(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            at, _, event = heapq.heappop(self._due)
            self._handle(event, at)

    def _handle(self, event: Event, now: float) -> None:
        for effect in self._scheduler.handle(event, now):
            self._seen.append((now, effect))
            match effect:
                case RunBatch(batch=batch, calls=calls):
                    took_ms = self._base_ms * (0.5 + 0.5 * len(calls)) * (1 + batch % 3 / 10)
                    self._later(now + took_ms / 1e3, BatchDone(batch=batch, run_ms=took_ms))
                case StartInstance(placement=placement):
                    self._later(now, InstanceReady(instance=placement.instance, load_ms=1.0))
                case SetTimer(at=at, key=key):
                    self._later(max(at, now), TimerFired(key=key))

    def _later(self, at: float, event: Event) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), event))


def test_only_a_full_batch_is_held_in_advance() -> None:
    """While a short batch runs, calls wait for others to go along; those that fill a batch are handed over at once."""
    driver = Driver(make_plan({"a": 1.0}, slots=1, max_batch=2))
    assert runs(driver.ask("r0")) == [("a-0", ("r0",))]
    assert runs(driver.ask("r1")) == []
    assert runs(driver.ask("r2")) == [("a-0", ("r1", "r2"))]
    assert runs(driver.ask("r3")) == []
    driver.done("a-0", run_ms=1.0, after=0.001)
    assert runs(driver.done("a-0", run_ms=1.0, after=0.001)) == [("a-0", ("r3",))]
