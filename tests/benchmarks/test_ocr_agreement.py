"""What the benchmark holds against each other must be the same requests, and the same joules."""

import pytest

from benchmarks.ocr_agreement import arrivals, served
from heterosis.bench import Load, Outcome, Readings, Shot, make_report
from heterosis.bench.shots import in_turn
from heterosis.terms import Energy, Quality, Slo
from heterosis.testing import graph_of


def test_simulated_requests_are_those_that_are_sent() -> None:
    """At the same moments, sample by sample."""
    graph = graph_of([("one", ())], [("one", ()), ("one", ())], [("one", ())] * 3)
    shots = [Shot(sample=number, body=b"", header_length=None) for number in range(3)]
    load = Load(arrivals=(0.0, 0.5, 0.6, 2.0, 2.5, 4.0, 4.5), duration_s=5.0, seed=7)
    simulated = arrivals(graph, load)
    assert [each.at for each in simulated] == list(load.arrivals)
    sent = [shot.sample for _, shot in zip(load.arrivals, in_turn(shots, load.seed), strict=False)]
    assert [graph.requests.index(each.shape) for each in simulated] == sent


def test_live_joules_are_those_per_request_in_time() -> None:
    """Of four answers one is late: what it cost is borne by the others."""
    outcomes = [
        Outcome(sample=0, scheduled_s=0.0, sent_s=0.0, done_s=done_s, status=200, outputs={})
        for done_s in (0.1, 0.1, 0.1, 9.0)
    ]
    spent = Readings(idle=Energy(8.0, Quality.MODELLED), dynamic=Energy(4.0, Quality.MODELLED))
    found = served(make_report(outcomes, Slo(latency_ms=1000.0), 1.0, spent=spent))
    assert found["joules_per_answer"] == pytest.approx(4.0)
    assert found["dynamic_joules_per_answer"] == pytest.approx(4.0 / 3)
    assert found["attainment"] == 0.75
