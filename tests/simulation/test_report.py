"""Figures of a run, by hand on a run small enough; intervals over several."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy import stats

from heterosis.arrivals import poisson_count
from heterosis.scheduling import Refusal
from heterosis.simulation import (
    Arrival,
    Occupancy,
    Report,
    RequestClass,
    Setting,
    Simulator,
    Uniform,
    interval,
    make_report,
    repeat,
    single_call,
    workload,
)
from heterosis.terms import Configuration
from heterosis.testing import make_plan

A = single_call("a")


class TenEach:
    """Every item takes 10 ms."""

    def draw(self, configuration: Configuration, size: int, rng: object) -> float:  # noqa: ARG002 - nothing to draw
        """See `Service.draw`."""
        return 0.01 * size


def run(*arrivals: Arrival, policy: str = "fcfs", setting: Setting | None = None) -> Report:
    """Run on one instance that takes one call at a time."""
    plan = make_plan({"a": 10.0}, slots=1, max_batch=1, slo_ms=25.0, policy=policy)
    return make_report(Simulator(plan, service=TenEach(), setting=setting or Setting()).run(arrivals))


def test_each_request_is_judged_by_its_own_deadline() -> None:
    """Three at once take 10, 20 and 30 ms: by the plan's 25 ms one is late, by its own 40 ms it is not."""
    one = Arrival(0.0, A)
    patient = Arrival(0.0, A, latency_ms=40.0)
    hasty = Arrival(0.0, A, latency_ms=5.0)
    assert run(one, one, one).violations == pytest.approx(1 / 3)
    assert run(one, one, patient).violations == 0.0
    assert run(hasty, one, patient).violations == pytest.approx(1 / 3)


def test_excess_waiting_and_goodput() -> None:
    """The third of three is 5 ms late; they wait 0, 10 and 20 ms; two in time within 30 ms."""
    report = run(*[Arrival(0.0, A)] * 3)
    assert report.excess_ms == pytest.approx(5 / 3)
    assert report.excess_of_late_ms == pytest.approx(5.0)
    assert report.waiting_ms.mean == pytest.approx(10.0)
    assert report.latency_ms.p50 == pytest.approx(20.0)
    assert report.goodput_rps == pytest.approx(2 / 0.03)
    assert report.drops == dict.fromkeys(Refusal, 0)


def test_refused_requests_are_violations_without_excess() -> None:
    """Ours refuses what cannot be in time; that counts as a violation, and by its kind."""
    report = run(*[Arrival(0.0, A)] * 10, policy="heterosis")
    assert report.answered < report.requests == 10
    assert sum(report.drops.values()) == 10 - report.answered
    assert report.violations == pytest.approx(1 - report.answered / 10)
    assert report.excess_ms == 0.0


def test_classes_and_size_deciles_part_the_requests() -> None:
    """Violations by class; of ten sizes each is a decile, of one size there is one group."""
    arrivals = [
        Arrival(float(size), A, size=size, request_class="odd" if size % 2 else "even") for size in range(1, 11)
    ]
    report = run(*arrivals)
    assert {group.name: group.violations for group in report.classes} == {"odd": 0.8, "even": 0.8}
    assert [group.sizes for group in report.size_deciles] == [(size, size) for size in range(1, 11)]
    assert [group.violations for group in report.size_deciles] == [0, 0, *[1] * 8]
    assert [group.name for group in run(*[Arrival(0.0, A)] * 7).size_deciles] == ["1"]


def test_size_deciles_hold_a_tenth_each() -> None:
    """Many sizes are parted into ten groups of a tenth of the requests, in order of size."""
    plan = make_plan({"a": 1.0}, slots=4, slo_ms=1000.0)
    classes = [RequestClass((A,), sizes=Uniform(1, 1000))]
    groups = make_report(Simulator(plan).run(workload(poisson_count(1, 2000, 1), classes))).size_deciles
    assert len(groups) == 10
    assert all(group.requests == pytest.approx(200, abs=5) for group in groups)
    assert all(low.sizes[1] < high.sizes[0] for low, high in pairwise(groups))


def test_decision_time_is_measured_only_when_asked_for() -> None:
    """It is wall time, and no part of what makes two outcomes equal."""
    assert run(Arrival(0.0, A)).decision_us.mean is None
    timed = run(Arrival(0.0, A), setting=Setting(timed=True)).decision_us
    assert timed.mean is not None
    assert 0 < timed.mean < 1e5


def test_no_requests() -> None:
    """An empty run has a report, too."""
    report = run()
    assert (report.requests, report.attainment, report.violations) == (0, 1.0, 0.0)
    assert report.latency_ms.p99 is None


def test_intervals_are_students() -> None:
    """As scipy computes them; a single run has no bounds."""
    values = [1.0, 2.0, 4.0, 3.5]
    found = interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found.mean == pytest.approx(2.625)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert interval([3.0]).low is None
    assert str(interval([3.0])) == "3"


def test_repetitions_name_each_figure_by_its_way() -> None:
    """Numbers of a report at any depth; what is None in any run is left out."""
    plan = make_plan({"a": 10.0}, slots=1, max_batch=1, slo_ms=25.0)

    def make(seed: int) -> Report:
        return make_report(Simulator(plan, seed=seed).run(workload(poisson_count(50, 300, seed), [RequestClass((A,))])))

    found = repeat(make, range(4))
    assert found["classes.default.violations"] == found["violations"]
    assert found["latency_ms.p99"].runs == 4
    assert "energy.dynamic.joules" in found
    assert "energy.total.joules" not in found
    with pytest.raises(ValueError, match="no seeds"):
        repeat(make, [])


def test_occupancy_is_a_trace_of_slots() -> None:
    """A process a node, a thread a slot, a slice a batch; drops are instants, queues counters; in microseconds."""
    occupancy = Occupancy()
    run(*[Arrival(0.0, A)] * 5, policy="heterosis", setting=Setting(occupancy=occupancy))
    trace = msgspec.json.decode(occupancy.encode())
    events = trace["traceEvents"]
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert names == {"scheduler", "node here", "toy slot 0"}
    slices = [event for event in events if event["ph"] == "X"]
    assert [(each["ts"], each["dur"]) for each in slices[:2]] == [
        (pytest.approx(0), pytest.approx(10_000)),
        (pytest.approx(10_000), pytest.approx(10_000)),
    ]
    assert slices[0]["args"]["calls"] == ["r0/0"]
    assert slices[0]["args"]["reason"]
    drops = [event for event in events if event["ph"] == "i"]
    assert len(drops) + len(slices) == 5
    assert {event["name"] for event in events if event["ph"] == "C"} <= {"waiting for a"}
