"""What is rehearsed: pipelines, a fleet, rates; from there to tasks, first plans, and the loop that goes on."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from heterosis.catalogue import open_pipeline
from heterosis.control import Account, Controller, Settings
from heterosis.control.power import Power
from heterosis.planning.fleet import Answer, Task, Workload, to_plan
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.hosting import hosted
from heterosis.planning.fleet.tuning.resting import sleeping_s
from heterosis.terms import Fleet, OperatingPoint, Plan
from heterosis.workflow.fleets import plan_fleet
from heterosis.workflow.goals import goal
from heterosis.workflow.rehearsal.emulation import emulated

SEPARATOR = "+"


def published(
    names: str,
    fleet: Fleet,
    rate_rps: float,
    *,
    accuracy: float | None = None,
    class_accuracy: Mapping[str, float] | None = None,
) -> list[Workload]:
    """Open the catalogue's pipelines that ``A+B`` names, each at this rate. Raise UsageError where there is none."""
    return [
        Workload(
            graph=known.graph,
            slo=goal(known.slo, min_accuracy=accuracy, class_accuracy=class_accuracy),
            rate_rps=rate_rps,
            variants=known.variants,
            profile=known.profile(fleet),
        )
        for known in map(open_pipeline, names.split(SEPARATOR))
    ]


def joint_task(workloads: Sequence[Workload], fleet: Fleet, horizon_s: float) -> Task:
    """The task of a server that hosts these pipelines on emulated devices."""
    keyed = tuple(hosted(each, each.graph.pipeline) for each in workloads)
    return emulated(Task(workloads=keyed, fleet=fleet, mix=True, horizon_s=horizon_s))


def at(task: Task, rates: Mapping[str, float]) -> Task:
    """The task at other rates."""
    workloads = tuple(replace(each, rate_rps=rates[each.graph.pipeline]) for each in task.workloads)
    return replace(task, workloads=workloads)


def first_plan(task: Task) -> tuple[Answer, Plan]:
    """Plan, as tried in the simulator. Raise InfeasibleError where there is no plan."""
    answer = plan_fleet(task)
    return answer, to_plan(task, answer.allotment)


def controller_of(task: Task, answer: Answer, plan: Plan, settings: Settings, begin: float) -> Controller:
    """The loop that goes on from a plan."""
    settings = replace(settings, latency=answer.latency)
    return Controller(task, plan, answer.allotment, settings=settings, begin=begin)


def account_of(task: Task) -> Account:
    """What counts the joules of the fleet."""
    return Account(power_of(task), _points(task))


def power_of(task: Task) -> Power:
    """What the devices of the fleet draw: those without instances sleep as long as that pays, and then are off."""
    starts = Starts(task, _points(task))
    return Power(fleet=task.fleet, rest_s=lambda unit, hosted: sleeping_s(starts, unit, tuple(hosted)))


def _points(task: Task) -> list[OperatingPoint]:
    return [point for workload in task.workloads for point in workload.profile.points]
