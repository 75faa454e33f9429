"""From pipelines and a fleet to a plan that was tried in the simulator, and to what it is expected to do."""

from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from heterosis.arrivals import poisson
from heterosis.planning import Verdict
from heterosis.planning.fleet import Allotment, Task, allot, by_objective, to_plan
from heterosis.planning.fleet import verified as verified_answer
from heterosis.planning.fleet.allotment import on_power_w
from heterosis.planning.fleet.infeasible import infeasible
from heterosis.planning.fleet.planner import Answer
from heterosis.planning.fleet.planners import make_planner
from heterosis.simulation import (
    Interval,
    Link,
    Network,
    Outcome,
    Power,
    RequestClass,
    Setting,
    Simulator,
    Traffic,
    make_report,
    repeat,
    workload,
)
from heterosis.terms import Device, Fleet, Node, Plan
from heterosis.terms.errors import UsageError
from heterosis.workflow.verification import SEEDS

OURS = "heterosis"
TRIED, COUNTED = 500, 1000
"""Requests of a run that tries a plan, and of one whose figures are told."""

Tell = Callable[[str], object]


class Hosting(msgspec.Struct, frozen=True, kw_only=True):
    """What alike devices run of one stage."""

    stage: str
    variant: str
    batch: int
    open_ms: float
    """How long a batch is kept open for more calls."""
    calls_per_s: float
    busy: float
    """Share of the devices' time, 0..1."""
    dynamic_w: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that are alike in everything."""

    device_type: str
    power_mode: str
    count: int
    available: int
    """Devices of the type in the fleet."""
    idle_w: float | None
    """Of all of them."""
    hosts: tuple[Hosting, ...]

    @property
    def busy(self) -> float:
        """Share of their time, 0..1."""
        return sum(host.busy for host in self.hosts)


def rows(task: Task, allotment: Allotment) -> tuple[Row, ...]:
    """Return what is on, and what runs there."""
    types = [device.type.name for device in task.fleet.devices]
    return tuple(
        Row(
            device_type=task.kinds[share.group[0]].type.name,
            power_mode=share.group[1],
            count=share.count,
            available=types.count(task.kinds[share.group[0]].type.name),
            idle_w=None if (on_w := on_power_w(task, share.group)) is None else share.count * on_w,
            hosts=tuple(
                Hosting(
                    stage=host.option.stage,
                    variant=host.option.variant.name,
                    batch=host.option.batch,
                    open_ms=1e3 * host.option.fill_s,
                    calls_per_s=host.per_s,
                    busy=host.per_s * host.option.slot_s / (share.count * task.kinds[share.group[0]].slots),
                    dynamic_w=None if host.option.energy_j is None else host.per_s * host.option.energy_j,
                )
                for host in share.hosts
            ),
        )
        for share in allotment.shares
    )


def plan_fleet(task: Task, planner: str = OURS, tell: Tell = lambda _: None, *, begin: float | None = None) -> Answer:
    """Plan by a planner's name; our own plans are tried and tightened until they hold (``begin``: see `verified`).

    Raise InfeasibleError, with the nearest that is possible, where ours finds no plan; UsageError where another does
    not, or has no such name.
    """
    if planner == OURS:
        verify, tried = simulated(task, tell), list[Verdict]()

        def noted(allotment: Allotment) -> Verdict:
            tried.append(verify(allotment))
            return tried[-1]

        answer = verified_answer(task, noted, begin=begin)
        if answer is None:
            raise infeasible(task, tried=[] if allot(task) is None else tried)
        return answer
    allotment = make_planner(planner)(task)
    if allotment is None:
        raise UsageError(f"{planner} finds no plan for this fleet; --planner {OURS} says what is possible")
    return Answer(
        allotment=allotment, cost=by_objective(task, allotment) or 0.0, verdict=simulated(task, tell)(allotment)
    )


def simulated(task: Task, tell: Tell = lambda _: None) -> Callable[[Allotment], Verdict]:
    """Return a function that tries an allotment under Poisson arrivals of the task's rates; see `simulated` of plans.

    Its verdict is the median of several runs, each with a seed of its own, of no more than decide it. The latency is
    that of all pipelines, at the strictest percentile of any.
    """

    def verify(allotment: Allotment) -> Verdict:
        tell("trying the plan in the simulator")
        percent = max(each.slo.percentile for each in task.workloads)
        names = [each.graph.pipeline for each in task.workloads]
        outcomes: list[Outcome] = []
        kept: list[list[bool]] = []
        for outcome in _runs(task, allotment, SEEDS, TRIED):
            outcomes.append(outcome)
            kept.append([in_time(outcome, each.graph.pipeline) >= each.slo.percentile / 100 for each in task.workloads])
            if len(kept) > len(SEEDS) / 2 and all(len(set(each)) == 1 for each in zip(*kept, strict=True)):
                break  # the rest would not change on which side of its percentile any median is
        shares = np.median([[in_time(outcome, name) for name in names] for outcome in outcomes], axis=0)
        return Verdict(
            latency_ms=float(np.median([each.latency_ms(percent) for each in outcomes])),
            attainment=float(np.median([each.attainment for each in outcomes])),
            by_pipeline=dict(zip(names, shares.tolist(), strict=True)),
        )

    return verify


def in_time(outcome: Outcome, pipeline: str) -> float:
    """Share (0..1) of a pipeline's requests that were answered in time; 1 where none came."""
    records = outcome.records
    violated = records.violated[records.kinds == records.classes.get(pipeline, -1)]
    return 1.0 - float(violated.mean()) if len(violated) else 1.0


def expected(task: Task, allotment: Allotment, seeds: int) -> dict[str, Interval]:
    """What an allotment does in the simulator: every figure of a report, with its interval over so many seeds."""
    return repeat(lambda seed: make_report(next(_runs(task, allotment, [seed], COUNTED))), range(seeds))


def _runs(task: Task, allotment: Allotment, seeds: Iterable[int], requests: int) -> Iterator[Outcome]:
    plan = to_plan(task, allotment)
    classes = [
        RequestClass(
            shapes=each.graph.requests,
            name=each.graph.pipeline,
            share=each.rate_rps,
            latency_ms=each.slo.latency_ms,
        )
        for each in task.workloads
    ]
    setting = steady(plan, task)
    for seed in seeds:
        times = poisson(plan.rate_rps, requests / plan.rate_rps, seed)
        yield Simulator(plan, seed=seed, setting=setting).run(workload(times, classes, seed=seed))


def steady(plan: Plan, task: Task) -> Setting:
    """Return what a plan is tried in: the fleet's power and links, its devices in the plan's power modes."""
    return Setting(power=Power(fleet=_in_modes_of(plan, task.fleet)), network=_network(task))


def _in_modes_of(plan: Plan, fleet: Fleet) -> Fleet:
    """Return the fleet with its devices in the power modes of a plan from the start: what is tried is its steady state.

    A device begins in its first mode.
    """
    modes = {(each.node, each.device): each.configuration.power_mode for each in plan.placements}
    replace = msgspec.structs.replace

    def brought(node: Node, device: Device) -> Device:
        planned = modes.get((node.name, device.name))
        ordered = sorted(device.type.power_modes, key=lambda mode: mode.name != planned)
        return replace(device, type=replace(device.type, power_modes=tuple(ordered)))

    return Fleet(
        nodes=tuple(replace(node, devices=tuple(brought(node, each) for each in node.devices)) for node in fleet.nodes)
    )


def _network(task: Task) -> Network:
    """Return the links of a fleet, and what the calls of the pipelines weigh on them."""
    return Network(
        links={
            node.name: Link(latency_ms=node.link_ms, bandwidth_mbit_s=node.bandwidth_mbit_s)
            for node in task.fleet.nodes
            if node.link_ms or node.bandwidth_mbit_s
        },
        traffic={
            stage: Traffic(input_bytes=size)
            for workload in task.workloads
            for stage, size in workload.graph.input_bytes.items()
        },
    )
