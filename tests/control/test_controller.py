"""The loop in virtual time: it follows the load, slow and failing devices, and steps down before it refuses."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from heterosis.arrivals import poisson
from heterosis.control import Account, Controller, Measure, Settings, Steering
from heterosis.control.power import Power
from heterosis.control.questions import Question, respond
from heterosis.control.remeasuring import SETTLED_S
from heterosis.control.speeds import profiled, slowed
from heterosis.control.telemetry import Telemetry
from heterosis.planning.fleet import Answer, Limits, Task, allot, to_plan
from heterosis.planning.fleet.joining import with_worker, without_worker
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.scheduling import Record
from heterosis.simulation import (
    Arrival,
    DeviceFailure,
    Outcome,
    RequestClass,
    Setting,
    Simulator,
    Slowdown,
)
from heterosis.simulation import workload as workload_of
from heterosis.terms import Fleet, OperatingPoint, Plan
from heterosis.testing.tasks import make_task

SLOW = 30.0
FAST = 240.0


def make(task: Task) -> Answer | None:
    """Plan quickly, without trying."""
    return allot(task, limits=Limits(latency=0.8))


@cache
def small_task() -> Task:
    """Six devices of two kinds, two variants a stage, some accuracy to give up."""
    return replace(make_task(3, stages=2, devices=3, rate_rps=SLOW, min_accuracy=0.9), horizon_s=30.0)


def load(*parts: tuple[float, float]) -> list[Arrival]:
    """Poisson arrivals at one rate after the other, each for so many seconds."""
    moments: list[float] = []
    begin = 0.0
    for number, (rate, seconds) in enumerate(parts):
        moments += [begin + at for at in poisson(rate, seconds, number)]
        begin += seconds
    return [replace_pipeline(each) for each in workload_of(moments, small_task().workloads[0].graph, seed=1)]


def replace_pipeline(arrival: Arrival) -> Arrival:
    """Name the pipeline."""
    return Arrival(arrival.at, arrival.shape, pipeline="drawn")


class Run:
    """A run of the loop over a load."""

    def __init__(
        self,
        arrivals: list[Arrival],
        task: Task | None = None,
        remeasure: Callable[[Measure, float], Sequence[OperatingPoint]] | None = None,
        **setting: object,
    ) -> None:
        """Plan for the slow rate, and let the loop do the rest."""
        task = task or small_task()
        answer = make(task)
        assert answer is not None
        plan = to_plan(task, answer.allotment)
        settings = Settings(plan_every_s=10.0, horizon_s=30.0, period_s=1000.0, remeasure=remeasure is not None)
        self.controller = Controller(task, plan, answer.allotment, settings=settings)
        self.account = Account(Power(fleet=task.fleet), task.workloads[0].profile.points)
        self.devices: list[tuple[float, int]] = []
        run = self

        class Watched(Steering):
            def observe(self, record: Record) -> None:
                run.account.observe(record, run.controller.observe(record))
                on = {(each.placement.node, each.placement.device) for each in run.telemetry.instances.values()}
                run.devices.append((record.at, len(on)))

        power = Power(fleet=task.fleet)
        steering = Watched(self.controller, make, measure=remeasure)
        simulator = Simulator(
            plan,
            seed=1,
            setting=Setting(power=power, steering=steering, patience_s=30.0, **setting),  # type: ignore[arg-type]
        )
        self.outcome: Outcome = simulator.run(arrivals)

    @property
    def telemetry(self) -> Telemetry:
        """What the loop knows."""
        return self.controller.telemetry

    def said(self, what: str) -> list[str]:
        """Reasons of one kind of decision."""
        return [each.reason for each in self.controller.decisions if each.what == what]

    def attainment(self, begin: float, end: float) -> float:
        """Share in time of the requests that arrived between two moments."""
        records = self.outcome.records
        at = np.array([each.at for each in self.arrivals])
        return 1 - float(records.violated[(begin <= at) & (at < end)].mean())

    arrivals: list[Arrival]


def run(*parts: tuple[float, float], task: Task | None = None, **setting: Any) -> Run:
    """Let the loop meet a load."""
    arrivals = load(*parts)
    found = Run(arrivals, task, **setting)
    found.arrivals = arrivals
    return found


def test_devices_follow_the_load_up_and_down() -> None:
    """More within seconds of a rise, fewer when it is over, and hardly a request that suffers from it."""
    found = run((SLOW, 30), (FAST, 60), (SLOW, 120))
    before = max(count for at, count in found.devices if at < 30)
    high = max(count for at, count in found.devices if 30 <= at < 90)
    after = found.devices[-1][1]
    assert before < high
    assert after < high
    assert found.outcome.attainment > 0.97
    assert found.attainment(45, 210) > 0.99
    assert any("more than by chance" in reason for reason in found.said("tune"))


def test_a_steady_load_is_not_planned_for_again_and_again() -> None:
    """A plan every ten seconds would be nine; what has not moved is not asked about."""
    assert 1 <= len(run((SLOW, 100)).said("plan")) <= 5


def test_in_a_crowd_no_plan_is_changed_to_save_joules() -> None:
    """How long it stays is not known: what it needs is planned for, and what saves joules when it is over."""
    found = run((SLOW, 60), (FAST, 25), (SLOW, 100))
    (crowd_at,) = (each.at for each in found.controller.decisions if each.reason.startswith("a crowd"))
    assert 60 < crowd_at < 85
    plans = [each for each in found.controller.decisions if each.what == "plan" and crowd_at <= each.at < 110]
    assert plans
    assert all("needed" in each.reason for each in plans if each.changed)
    assert found.controller.planned_rates["drawn"] < 1.5 * SLOW
    assert found.devices[-1][1] <= max(count for at, count in found.devices if 30 < at < 60)


def test_joules_of_records_are_those_of_the_simulator() -> None:
    """What is counted live from records is what the simulator counts while it runs, part by part."""
    found = run((SLOW, 20), (FAST, 30), (SLOW, 60))
    counted, simulated = found.account.joules(found.outcome.duration_s), found.outcome.joules
    for part in ("idle", "dynamic", "starting", "switching"):
        assert getattr(counted, part).joules == pytest.approx(getattr(simulated, part).joules, rel=1e-6), part


def test_a_slow_device_is_noticed_and_planned_around() -> None:
    """Within ten seconds; afterwards the rest is in time again."""
    task = small_task()
    answer = make(task)
    assert answer is not None
    first = to_plan(task, answer.allotment).placements[0]
    found = run((SLOW, 120), slowdowns=[Slowdown(first.node, first.device, 30.0, 2.5)])
    speeds = [each for each in found.controller.decisions if each.what == "speed"]
    assert speeds
    assert speeds[0].at <= 40.0
    assert f"{first.node}/{first.device}" in speeds[0].reason
    assert found.attainment(60, 120) > 0.99


def test_a_slow_device_is_measured_anew_once_it_has_time() -> None:
    """What was measured is what it is planned with from then on: here one batch size suffers more than the others."""
    task = small_task()
    answer = make(task)
    assert answer is not None
    first = to_plan(task, answer.allotment).placements[0]
    unit = (first.node, first.device)
    asked: list[tuple[Measure, float]] = []

    def measure(act: Measure, now: float) -> list[OperatingPoint]:
        asked.append((act, now))
        measured = profiled(act.placements[0].configuration)
        points = [point for point in task.workloads[0].profile.points if point.configuration == measured]
        return [slowed(point, 2.4 if point.batch == 1 else 3.0) for point in points]

    found = run((SLOW, 150), remeasure=measure, slowdowns=[Slowdown(*unit, 30.0, 2.5)])
    noticed = next(each.at for each in found.controller.decisions if each.what == "speed")
    (act, at), *_ = asked
    assert (act.node, act.device) == unit
    configuration = profiled(act.placements[0].configuration)
    assert at >= noticed + SETTLED_S
    assert len(asked) == 1
    assert any("was measured anew" in reason for reason in found.said("measure"))
    speeds = found.controller.devices.speeds
    corrected = speeds.corrected(task).workloads[0].profile.points
    own = {point.batch: point.latency.mean_ms for point in corrected if profiled(point.configuration) == configuration}
    before = {
        point.batch: point.latency.mean_ms
        for point in task.workloads[0].profile.points
        if point.configuration == configuration
    }
    assert {batch: mean_ms / before[batch] for batch, mean_ms in own.items()} == pytest.approx({1: 2.4, 4: 3.0})


def test_a_dead_device_is_planned_around_and_nothing_is_lost() -> None:
    """Its instances load nowhere near in time: the plan goes on without it."""
    task = small_task()
    answer = make(task)
    assert answer is not None
    first = to_plan(task, answer.allotment).placements[0]
    found = run((SLOW, 90), device_failures=[DeviceFailure(first.node, first.device, 30.0, 1e6)])
    assert any("does not get its instances to run" in reason for reason in found.said("health"))
    assert found.attainment(60, 90) > 0.99
    assert len(found.outcome.records) == len(found.arrivals)
    in_force = {(each.node, each.device) for each in found.controller.plan.placements}
    assert (first.node, first.device) not in in_force


def test_accuracy_steps_down_before_requests_are_refused_and_comes_back() -> None:
    """Aimed above the floor where the fleet can; down to the floor where it cannot; a share only past that."""
    task = make_task(8, stages=2, devices=3, rate_rps=SLOW, min_accuracy=0.85)
    answer = make(task)
    assert answer is not None
    now = to_plan(task, answer.allotment)

    def found(rate: float) -> tuple[float, float]:
        workloads = (replace(task.workloads[0], rate_rps=rate),)
        question = Question(task=replace(task, workloads=workloads), now=now, reason="", aim=0.97)
        proposal = respond(question, make)
        return proposal.accuracies["drawn"] or 0.0, proposal.served

    relaxed, busy, overload = found(200.0), found(500.0), found(900.0)
    assert relaxed[0] >= 0.97
    assert 0.85 <= busy[0] < 0.97
    assert relaxed[1] == busy[1] == 1.0
    assert overload[0] >= 0.85
    assert 0.3 <= overload[1] < 1.0


def test_every_class_is_served_at_its_own_floor_while_the_load_grows() -> None:
    """Both aim high while there is time; then one steps down further than the other, and comes back up."""
    floors = {"gold": 0.97, "bronze": 0.88}
    task = make_task(1, stages=1, devices=3, rate_rps=SLOW, min_accuracy=0.88)
    (workload,) = task.workloads
    slo = replace(workload.slo, class_accuracy={"gold": floors["gold"]})
    task = replace(task, mix=True, workloads=(replace(workload, slo=slo),), horizon_s=30.0)
    classes = [
        RequestClass(shapes=workload.graph.requests, name=name, share=share, pipeline="drawn")
        for name, share in {"gold": 0.3, "bronze": 0.7}.items()
    ]
    parts = ((0.0, 60.0, SLOW), (60.0, 40.0, 430.0), (100.0, 100.0, SLOW))
    moments = [at + begin for begin, seconds, rate in parts for at in poisson(rate, seconds, 1)]
    answer = make(task)
    assert answer is not None
    settings = Settings(plan_every_s=10.0, horizon_s=30.0, period_s=1000.0, aim=0.98)
    controller = Controller(task, to_plan(task, answer.allotment), answer.allotment, settings=settings)
    seen: dict[str, list[tuple[float, float]]] = {"gold": [], "bronze": []}

    class Watched(Steering):
        def tick(self, now: float) -> Sequence[Plan]:
            for name, moments in seen.items():
                figures = controller.telemetry.classes.get(("drawn", name))
                accuracy = None if figures is None else figures.accuracy(now, workload.variants.reference_accuracy or 0)
                if accuracy is not None:
                    moments.append((now, accuracy))
            return super().tick(now)

    setting = Setting(power=Power(fleet=task.fleet), steering=Watched(controller, make), patience_s=30.0)
    Simulator(controller.plan, seed=1, setting=setting).run(workload_of(moments, classes))

    def mean(name: str, begin: float, end: float) -> float:
        return float(np.mean([accuracy for at, accuracy in seen[name] if begin <= at < end]))

    for name, floor in floors.items():
        assert min(accuracy for at, accuracy in seen[name] if at > 30) >= floor - 0.005
    assert mean("bronze", 90, 100) < mean("bronze", 40, 60) - 0.005
    assert mean("gold", 90, 100) > mean("bronze", 90, 100) + 0.005
    assert mean("bronze", 190, 200) > mean("bronze", 90, 100) + 0.005


def test_what_joins_is_used_and_what_leaves_is_not() -> None:
    """The fleet is what it is told to be."""
    task = small_task()
    answer = make(task)
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    controller = Controller(task, plan, answer.allotment, settings=Settings(plan_every_s=1e6))
    nodes = tuple(node for node in task.fleet.nodes if node.name != plan.placements[0].node)
    controller.fleet_changed(replace(task, fleet=Fleet(nodes=nodes)), 1.0)
    (act,) = controller.tick(1.0)
    question = act.question  # type: ignore[union-attr]
    assert question.task.fleet.nodes == nodes
    assert "left" in question.reason
    proposal = respond(question, make)
    controller.answered(question, proposal, 2.0)
    assert controller.under_way
    assert {each.node for each in proposal.plan.placements} <= {node.name for node in nodes}


def test_a_worker_that_joins_is_planned_with_at_once() -> None:
    """It gets instances of what it has packed, and none once it is gone."""
    task = at_rates(small_task(), {"drawn": FAST})
    answer = make(task)
    assert answer is not None
    controller = Controller(task, to_plan(task, answer.allotment), answer.allotment, settings=Settings())
    grown = with_worker(task, "shed", "outside", stage="stage0", digest="", device_type="kind1", threads=1)
    controller.fleet_changed(grown, 1.0)
    (act,) = controller.tick(1.0)
    question = act.question  # type: ignore[union-attr]
    assert question.reason == "shed/outside joined"
    proposal = respond(question, make)
    assert {each.configuration.stage for each in proposal.plan.placements if each.node == "shed"} == {"stage0"}
    controller.answered(question, proposal, 2.0)
    put = [act.plan for act in controller.tick(2.0)]  # type: ignore[union-attr]
    assert any(each.node == "shed" for each in put[-1].placements)
    controller.fleet_changed(without_worker(grown, "shed"), 3.0)
    assert not any(each.node == "shed" for each in controller.plan.placements)
