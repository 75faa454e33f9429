"""Allotments that are tried until they hold."""

import msgspec

from heterosis.planning import Verdict
from heterosis.planning.fleet import Allotment, Task, allot, holds, verified
from heterosis.terms import Slo
from heterosis.testing.tasks import make_task

HELD, MISSED = Verdict(latency_ms=1.0, attainment=1.0), Verdict(latency_ms=9.0, attainment=0.9)


def two_pipelines() -> Task:
    """One that asks for 99 % in time, and one that asks for 90 %."""
    strict, loose = make_task(1, stages=1), make_task(2, stages=1)
    (first,), (second,) = strict.workloads, loose.workloads
    graph = msgspec.structs.replace(second.graph, pipeline="loose", stages=("other",))
    second = msgspec.structs.replace(second, graph=graph, slo=Slo(latency_ms=500, percentile=90))
    return msgspec.structs.replace(strict, workloads=(first, second))


def test_every_pipeline_holds_at_its_own_percentile() -> None:
    """What is enough for one is not for the other; without figures of each, those of all count."""
    task = two_pipelines()
    strict, loose = (each.graph.pipeline for each in task.workloads)
    assert holds(task, Verdict(latency_ms=1.0, attainment=0.95, by_pipeline={strict: 0.99, loose: 0.91}))
    assert not holds(task, Verdict(latency_ms=1.0, attainment=0.99, by_pipeline={strict: 0.98, loose: 1.0}))
    assert not holds(task, Verdict(latency_ms=1.0, attainment=0.99, by_pipeline={strict: 1.0, loose: 0.89}))
    assert not holds(task, Verdict(latency_ms=1.0, attainment=0.95))


def test_a_search_that_begins_where_another_ended_tries_less() -> None:
    """Plans hold while they are made for at most 80 % of the SLO; who knows that needs only to look beside it."""
    task = make_task(3, devices=6, rate_rps=60.0, slo_ms=120.0)

    def searched(begin: float | None) -> tuple[int, float]:
        tries: list[Allotment] = []

        def verify(allotment: Allotment) -> Verdict:
            tries.append(allotment)
            slowest_s = sum(allotment.budgets_s(task).values())
            return HELD if slowest_s <= 0.8 * task.workloads[0].slo.latency_ms / 1e3 else MISSED

        answer = verified(task, verify, begin=begin)
        assert answer is not None
        return len(tries), answer.latency

    tries, latency = searched(None)
    fewer, again = searched(latency)
    assert allot(task) is not None
    assert again >= latency
    assert fewer < tries
