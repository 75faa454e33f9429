"""From an allotment to a plan that can be simulated and put in force."""

from collections.abc import Collection, Iterable, Sequence

from heterosis.planning.fleet.allotment import Allotment, Hosted, Share, accuracy, dynamic_w, latency_s, power_w
from heterosis.planning.fleet.options import Group, Option
from heterosis.planning.fleet.task import OTHERS, Task, Unit, Workload
from heterosis.terms import (
    UNKNOWN,
    Configuration,
    Energy,
    PipelinePlan,
    Placement,
    Plan,
    Prediction,
    Quality,
    StagePlan,
)

BATCH_SHARE = 0.2
"""Of the SLO: what a batch may take that is larger than planned, because more calls wait than was thought."""


def to_plan(task: Task, allotment: Allotment, *, policy: str = "heterosis", prefer: Collection[Unit] = ()) -> Plan:
    """Return the plan of an allotment, on units of the fleet; those of ``prefer`` (that are on already) first.

    Of several pipelines the first gives the plan its SLO; requests of the others carry their own. An instance is named
    after all that it is, so that one that a later plan keeps has the same name there.
    """
    free = {number: sorted(kind.units, key=lambda unit: unit not in prefer) for number, kind in enumerate(task.kinds)}
    placements = [
        each
        for share in allotment.shares
        for unit in _take(free[share.group[0]], share.count)
        for each in _placements(task, share, unit)
    ]
    configurations = {each.configuration for each in placements}
    first = task.workloads[0]
    rate = sum(workload.rate_rps for workload in task.workloads)
    return Plan(
        pipeline="+".join(workload.graph.pipeline for workload in task.workloads),
        slo=first.slo,
        rate_rps=rate,
        policy=policy,
        stages=tuple(_stage(task, allotment, stage) for stage in task.stages),
        placements=tuple(placements),
        points=tuple(
            point
            for workload in task.workloads
            for point in workload.profile.points
            if point.configuration in configurations
        ),
        predicted=Prediction(
            latency_ms=task.overhead.wall_ms + 1e3 * latency_s(first, allotment),
            accuracy=accuracy(first, allotment),
            utilisation=max(share.busy(task.kinds[share.group[0]].slots) for share in allotment.shares),
            dynamic_energy_per_request=_energy(task, dynamic_w(allotment), rate),
            power=_energy(task, power_w(task, allotment), 1.0),
        ),
        reasons=allotment.reasons,
        pipelines=()
        if len(task.workloads) == 1
        else tuple(_pipeline(task, each, allotment) for each in task.workloads),
        overhead=task.overhead,
    )


def _pipeline(task: Task, workload: Workload, allotment: Allotment) -> PipelinePlan:
    return PipelinePlan(
        pipeline=workload.graph.pipeline,
        slo=workload.slo,
        rate_rps=workload.rate_rps,
        stages=workload.graph.stages,
        predicted=Prediction(
            latency_ms=task.overhead.wall_ms + 1e3 * latency_s(workload, allotment),
            accuracy=accuracy(workload, allotment),
            dynamic_energy_per_request=_energy(task, dynamic_w(allotment, workload.graph.stages), workload.rate_rps),
        ),
    )


def _take(units: list[Unit], count: int) -> list[Unit]:
    taken, units[:count] = units[:count], []
    return taken


def _placements(task: Task, share: Share, unit: Unit) -> Iterable[Placement]:
    node, device = unit
    slots = task.kinds[share.group[0]].slots
    hosted: dict[object, Option] = {}
    for host in share.hosts:
        known = hosted.get(host.option.configuration)
        if known is None or known.batch < host.option.batch:
            hosted[host.option.configuration] = host.option
    for option in hosted.values():
        threads = option.configuration.threads
        most = max(option.batch, _bearable(task, option.configuration))
        for number in range(slots // threads):
            mode = option.configuration.power_mode
            what = (option.stage, option.variant.name, mode, f"{threads} threads", f"batch {most}")
            yield Placement(
                instance="/".join((*what, node, device, str(number))),
                configuration=option.configuration,
                max_batch=most,
                node=node,
                device=device,
                slots=tuple(range(number * threads, (number + 1) * threads)),
                accuracy=option.variant.accuracy,
            )


def _bearable(task: Task, configuration: Configuration) -> int:
    """Return the largest batch that takes no more than `BATCH_SHARE` of the SLO.

    It does not depend on the load, so that another plan for more of it need not start the instance anew.
    """
    workload = task.stages[configuration.stage]
    return max(
        (
            point.batch
            for point in workload.profile.points
            if point.configuration == configuration and point.latency.p95_ms <= BATCH_SHARE * workload.slo.latency_ms
        ),
        default=1,
    )


def _stage(task: Task, allotment: Allotment, stage: str) -> StagePlan:
    workload = task.stages[stage]
    hosts = sorted(allotment.hosted(stage), key=lambda host: -host.per_s)
    variants = tuple(dict.fromkeys(host.option.variant for host in hosts))
    by_class = {each.request_class: each.accuracy for each in allotment.class_accuracies if each.stage == stage}
    return StagePlan(
        stage=stage,
        variant=variants[0],
        variants=variants if len(variants) > 1 else (),
        accuracy=by_class.pop(OTHERS, _mean_accuracy(hosts)) if len(variants) > 1 else None,
        class_accuracy=by_class if len(variants) > 1 else {},
        budget_ms=1e3 * max(host.option.latency_s for host in hosts),
        tail_ms=1e3 * _tail_s(workload, allotment, stage),
        batch=max(host.option.batch for host in hosts),
        fill_ms=1e3 * max(host.option.fill_s for host in hosts),
        demand_per_s=sum(host.per_s for host in hosts),
        utilisation=sum(host.per_s * host.option.slot_s for host in hosts),
    )


def _mean_accuracy(hosts: Sequence[Hosted]) -> float | None:
    total = 0.0
    for host in hosts:
        if host.option.variant.accuracy is None:
            return None
        total += host.per_s * host.option.variant.accuracy
    return total / sum(host.per_s for host in hosts)


def _tail_s(workload: Workload, allotment: Allotment, stage: str) -> float:
    """Time that what follows the last call of a stage takes, along the longest path."""
    slowest = {each: max(host.option.run_s for host in allotment.hosted(each)) for each in workload.graph.stages}
    following = (path[len(path) - path[::-1].index(stage) :] for path in workload.graph.paths() if stage in path)
    return max((sum(slowest[each] for each in path) for path in following), default=0.0)


def _energy(task: Task, joules: float | None, per: float) -> Energy:
    """Joules of figures of this fleet, the worst quality of any of its types; what says nothing counts as modelled."""
    if joules is None:
        return UNKNOWN
    order = list(Quality)
    worst = max((kind.type.quality for kind in task.kinds), key=order.index)
    return Energy(joules / per, Quality.MODELLED if worst is Quality.NONE else worst)


def groups_of(task: Task, plan: Plan) -> dict[Group, int]:
    """Devices that a plan has on, by group."""
    found: dict[Group, set[Unit]] = {}
    number = {unit: kind for kind, each in enumerate(task.kinds) for unit in each.units}
    for placement in plan.placements:
        unit = placement.unit
        found.setdefault((number[unit], placement.configuration.power_mode), set()).add(unit)
    return {group: len(units) for group, units in found.items()}
