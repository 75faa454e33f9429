"""Plans tried in the simulator."""

from heterosis.testing import graph_of, make_plan
from heterosis.workflow.verification import simulated

GRAPH = graph_of([("one", ()), ("two", (0,)), ("two", (0,))])


def test_a_light_load_holds() -> None:
    """With next to no load the latency is about that of the stages, and the verdict is reproducible."""
    plan = make_plan({"one": 10.0, "two": 5.0}, rate_rps=1.0)
    verdict = simulated(GRAPH)(plan)
    assert 15 < verdict.latency_ms < 40
    assert verdict.attainment > 0.99
    assert simulated(GRAPH)(plan) == verdict


def test_overload_is_seen() -> None:
    """Far beyond capacity the plan misses its SLO: what is refused counts as missed."""
    plan = make_plan({"one": 10.0, "two": 5.0}, rate_rps=2000.0)
    verdict = simulated(GRAPH)(plan)
    assert verdict.attainment < 0.5
    assert verdict.latency_ms > plan.slo.latency_ms


def test_it_says_what_it_does() -> None:
    """Whoever waits is told."""
    said: list[str] = []
    simulated(GRAPH, said.append)(make_plan({"one": 10.0, "two": 5.0}))
    assert said == ["trying the plan in the simulator"]
