"""What was profiled, as it is when it is served."""

import msgspec
import pytest

from heterosis.simulation import Arrival, Simulator
from heterosis.terms import Latency, Overhead, PipelineGraph, Slo
from heterosis.terms.profile import drawn_mean
from heterosis.testing import graph_of, make_plan
from heterosis.testing.snapshots import chain, point, snapshot, variant
from heterosis.workflow.served import mean_stretch, served, stretched, weighted

ONE, TWO = graph_of([("one", ())]).requests[0], graph_of([("one", ()), ("one", ())]).requests[0]
GRAPH = PipelineGraph(pipeline="toy", stages=("one",), requests=(ONE, TWO))
OVERHEAD = Overhead(stretch={"one": (2.0, 0.5)})


def test_the_mean_counts_calls_and_the_rest_is_the_samples_own() -> None:
    """One call at twice, two at half: at unity on average, so that means of the profile stay means."""
    assert mean_stretch(GRAPH, OVERHEAD) == pytest.approx({"one": 1.0})
    works = [[call.work for call in request.calls] for request in weighted(GRAPH, OVERHEAD).requests]
    assert works == [[2.0], [0.5, 0.5]]
    longer = Overhead(stretch={"one": (4.0, 1.0)})
    assert mean_stretch(GRAPH, longer) == pytest.approx({"one": 2.0})
    assert weighted(GRAPH, longer) == weighted(GRAPH, OVERHEAD)


def test_what_was_measured_of_other_samples_does_not_count() -> None:
    """Nor does nothing."""
    assert weighted(GRAPH, Overhead(stretch={"one": (2.0,)})) == GRAPH
    assert weighted(GRAPH, Overhead()) == GRAPH


def test_points_are_stretched_in_time_and_joules() -> None:
    """Those of a stage by its mean, the others not."""
    variants = variant("one"), variant("two")
    points = [point(each, 1, 1, 10.0, joules=2.0) for each in variants]
    asked = snapshot(chain({"one": (1,), "two": (3,)}), variants, points, slo=Slo(latency_ms=100.0))
    found = served(msgspec.structs.replace(asked, overhead=Overhead(stretch={"one": (1.5,)})))
    for before, after in zip(asked.profile.points, found.profile.points, strict=True):
        factor = 1.5 if before.configuration.stage == "one" else 1.0
        assert after.latency.mean_ms == pytest.approx(factor * before.latency.mean_ms)
        assert after.latency.p95_ms == pytest.approx(factor * before.latency.p95_ms, rel=0.01)
        assert after.cpu_ms == pytest.approx(factor * before.cpu_ms)
        assert after.dynamic_energy.joules == pytest.approx(factor * (before.dynamic_energy.joules or 0.0))


def test_simulated_batches_of_stretched_points_have_the_measured_mean() -> None:
    """However lopsided the percentiles are that they are drawn from."""
    one = point(variant("one"), 1, 1, 10.0)
    skewed = msgspec.structs.replace(one, latency=Latency(mean_ms=10.0, p50_ms=9.0, p95_ms=18.0, p99_ms=30.0))
    (found,) = stretched([skewed], GRAPH, Overhead(stretch={"one": (2.0, 2.0)}))
    latency = found.latency
    assert drawn_mean(latency.p50_ms, latency.p95_ms, latency.p99_ms) == pytest.approx(20.0)
    assert latency.p99_ms / latency.p50_ms == pytest.approx(30.0 / 9.0)


def test_simulated_calls_take_their_work_times_as_long() -> None:
    """Request by request, on the same draws."""
    plan = make_plan({"one": 10.0}, rate_rps=1.0)

    def latencies(graph: PipelineGraph) -> list[float]:
        arrivals = [Arrival(float(second), graph.requests[second % 2]) for second in range(20)]
        return Simulator(plan, seed=1).run(arrivals).latencies_s

    plain, heavy = latencies(GRAPH), latencies(weighted(GRAPH, OVERHEAD))
    factors = [after / before for before, after in zip(plain, heavy, strict=True)]
    assert factors[::2] == pytest.approx([2.0] * 10, rel=0.05)
    assert factors[1::2] == pytest.approx([0.5] * 10, rel=0.05)
