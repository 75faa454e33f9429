"""Serving a fleet's plan on emulated devices: what is served is what was planned, and its joules are counted alike."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.fleet_agreement import Live, fleet_task, of_server, serve, spent_j
from heterosis.arrivals import poisson
from heterosis.engines.emulated import EmulatedModel
from heterosis.planning.fleet import Task, allot, to_plan
from heterosis.scheduling import Effect, Event, Record, RunBatch
from heterosis.scheduling.estimates import Estimates
from heterosis.simulation import Simulator, workload
from heterosis.simulation.workload import Arrival
from heterosis.terms import DYNAMIC, Plan, TensorSpec
from heterosis.testing import as_emulated, write_emulated
from heterosis.workflow.fleets import steady

RATE = 10.0


@pytest.fixture(scope="module")
def task() -> Task:
    """Find objects and classify them, on the rack."""
    return fleet_task(RATE)


@pytest.fixture(scope="module")
def plan(task: Task) -> Plan:
    """Plan it by the options' own figures."""
    answer = allot(task)
    assert answer is not None
    return to_plan(task, answer.allotment)


def arrivals(task: Task, count: int = 300) -> list[Arrival]:
    """Draw requests with as many objects as the samples have."""
    return workload(poisson(RATE, count / RATE, 3), task.workloads[0].graph, seed=3)


def test_a_plan_with_emulated_instances_is_the_same_plan(task: Task, plan: Plan, tmp_path: Path) -> None:
    """In the simulator the same becomes of the same requests."""
    real, emulated = (
        Simulator(each, seed=1, setting=steady(each, task)).run(arrivals(task))
        for each in (plan, as_emulated(plan, tmp_path))
    )
    assert emulated.records == real.records
    assert emulated.joules.total == real.joules.total


def test_batches_between_measured_sizes_take_what_the_simulator_draws(plan: Plan, tmp_path: Path) -> None:
    """An artifact has a point for every size, whose median is the scheduler's estimate."""
    stand_in = as_emulated(plan, tmp_path)
    write_emulated(stand_in, [TensorSpec(name="x", dtype="float32", shape=(DYNAMIC, 8))], [], "test")
    estimates = Estimates(stand_in.points)
    for configuration in {placement.configuration for placement in stand_in.placements}:
        artifact = Path(stand_in.variant(configuration).artifact)
        model = msgspec.json.decode(artifact.read_bytes(), type=EmulatedModel)
        assert [point.batch for point in model.points] == list(range(1, len(model.points) + 1))
        for point in model.points:
            median_ms = 1e3 * estimates.quantile(configuration, point.batch, 50)
            assert point.draw_ms(0.5) == pytest.approx(median_ms)


def test_joules_of_a_journal_are_those_of_the_simulator(task: Task, plan: Plan) -> None:
    """The account of a served fleet, applied to a simulated run, gives the run's own."""
    records: list[Record] = []
    setting = steady(plan, task)
    simulator = Simulator(plan, seed=1, setting=setting)

    def recorded(event: Event, now: float) -> list[Effect]:
        effects = simulator.scheduler.handle(event, now)
        records.append(Record(at=now, event=event, effects=tuple(effects)))
        return effects

    simulator._decide = recorded  # noqa: SLF001 - the simulator keeps no journal
    outcome = simulator.run(arrivals(task))
    assert spent_j(plan, setting, records, 0.0, outcome.duration_s) == pytest.approx(outcome.joules.total.joules)


def test_late_and_missing_answers_do_not_count(task: Task, plan: Plan) -> None:
    """Goodput, attainment and joules are of answers within the SLO."""
    slo_ms = plan.slo.latency_ms
    coming = tuple(arrivals(task)[:4])
    load = Live(arrivals=coming, begin_s=0.0, end_s=2.0, latencies_ms=(1.0, slo_ms, slo_ms + 1), lag_p99_ms=0.0)
    found = of_server(load, plan, 10.0)
    assert (found["goodput_rps"], found["attainment"], found["joules_per_answer"]) == (1.0, 0.5, 5.0)


def test_the_calls_of_a_served_request_follow_its_input(task: Task, plan: Plan, tmp_path: Path) -> None:
    """Every request is answered by the real server, with a call for each object that it says it has."""
    stand_in = as_emulated(plan, tmp_path)
    (load,), records = serve(tmp_path, stand_in, task.workloads[0], 20, [7])
    during = [record for record in records if load.begin_s <= record.at <= load.end_s]
    calls = sum(len(each.calls) for record in during for each in record.effects if isinstance(each, RunBatch))
    assert calls == sum(len(arrival.shape.calls) for arrival in load.arrivals)
    assert len(load.latencies_ms) == len(load.arrivals)
    assert np.min(load.latencies_ms) > 0
