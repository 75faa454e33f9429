"""What the loop asks its planner, and how that is answered: by a process beside the server, or at once in a simulation.

A question is either to plan anew, or to follow the arrivals between plans (`heterosis.planning.fleet.tuning`). Where
nothing serves all that comes, less is asked for: accuracy first, down to the floor, then requests.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from heterosis.planning.fleet import Allotment, Answer, Task, Workload, accuracy, to_plan
from heterosis.planning.fleet.assembly import groups_of
from heterosis.planning.fleet.changes import Decision, Headroom, load_of, settled, worthwhile
from heterosis.planning.fleet.changes.contents import present
from heterosis.planning.fleet.task import Combination
from heterosis.planning.fleet.tuning import Retuning
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.terms import Plan, Slo

RESERVE = 1.25
"""A plan is kept only if it bears this multiple of the load: what it has in hand is what keeps waits short."""
LITTLE = 0.05
"""Of what the plan in force draws, what another must save: figures of power are not exact enough to tell less."""
STEPS_DOWN = (1.0, 0.5, 0.0)
"""Of the way from the floor of accuracy up to what is aimed at, tried in turn."""
SHARES = (0.8, 0.6, 0.45, 0.3, 0.2, 0.1)
"""Of the requests, planned for in turn where all of them cannot be served."""

MORE = "more comes than what runs serves in time"

MakePlan = Callable[[Task], Answer | None]
"""Plans, and has the plan tried where there is time for that; None where there is no plan."""


class Question(msgspec.Struct, frozen=True, kw_only=True, tag="loop"):
    """Asks for the plan to go on with."""

    task: Task
    """The fleet as it is, devices as fast as they are, and the rates to plan for."""
    now: Plan
    """In force."""
    reason: str
    """Why it is asked."""
    retuning: Retuning | None = None
    """Asks for no new plan, but for the one in force at other rates."""
    must: str = ""
    """Why the plan in force cannot stay, whatever it bears: that is throughput, and says nothing of how late answers
    are. Empty where it may."""
    horizon_s: float | None = None
    """For how long it is counted on that another plan would save what it does; by default the task's horizon."""
    aim: float | None = None
    """Accuracy to be had where the fleet can, above the SLO's floors."""
    reserve: float = RESERVE
    latency: float | None = None
    """Share of the SLO that the first plan was made for."""
    accuracies: Mapping[str, Mapping[Combination, float]] = {}
    """End-to-end accuracy as measured, by pipeline and by the variants that served."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True, tag="proposal"):
    """What to go on with."""

    rates: Mapping[str, float]
    """What was planned for in the end, in requests per second, by pipeline."""
    allotment: Allotment
    plan: Plan
    decision: Decision
    """Whether to change to it, why, and by which steps."""
    served: float = 1.0
    """Share of the rates asked for that it is for; below 1 nothing serves all of them."""
    bears: float
    """By how much its load could be multiplied until its instances have no time left."""
    accuracies: Mapping[str, float | None]
    """Expected, by pipeline."""
    slos: Mapping[str, Slo]
    """What it was made to keep, by pipeline: floors of accuracy lie between the SLO's own and what is aimed at."""
    solve_s: float = 0.0


class NoPlanError(Exception):
    """Nothing that the fleet has left serves any of it."""


def respond(question: Question, make: MakePlan) -> Proposal:
    """Answer a question, with the planner given. Raise NoPlanError where not even a tenth can be served."""
    must, retuning = question.must, question.retuning
    if retuning is None:
        task, allotment, served = _planned(question, make)
    elif retuning.rises and not retuning.needed():
        task, served = at_rates(question.task, retuning.sure), 1.0
        allotment = replace(retuning.on, reasons=retuning.reasons)
    else:
        task, allotment, served = question.task, retuning.solve(), 1.0
        must = MORE if retuning.rises else must
    if {host.option.stage for host in allotment.hosted()} != set(task.stages):
        raise NoPlanError("at these rates the plan in force would leave a stage without instances")
    now = present(task, question.now)
    prefer = [(each.node, each.device) for each in now.placements]
    plan = settled(task, now, to_plan(task, allotment, policy=now.policy, prefer=prefer))
    load = load_of(plan)
    reserve = {stage: question.reserve * per_s for stage, per_s in load.items()}
    least = LITTLE if retuning is None else 0.0
    decision = worthwhile(task, now, plan, load=reserve, horizon_s=question.horizon_s, least=least)
    if must and plan.placements != now.placements and not decision.change:
        decision = replace(decision, change=True, reason=f"{must}; {decision.reason}")
    return Proposal(
        rates={each.graph.pipeline: each.rate_rps for each in task.workloads},
        allotment=allotment,
        plan=plan,
        decision=decision,
        served=served,
        bears=Headroom(plan.points, load).of(plan.placements),
        accuracies={each.graph.pipeline: accuracy(each, allotment) for each in task.workloads},
        slos={each.graph.pipeline: each.slo for each in task.workloads},
    )


def _planned(question: Question, make: MakePlan) -> tuple[Task, Allotment, float]:
    task = replace(question.task, now=devices_on(question.task, question.now))
    floors = _floors(task, question.aim)
    for lower in floors:
        found = make(lower)
        if found is not None:
            return lower, found.allotment, 1.0
    rates = {each.graph.pipeline: each.rate_rps for each in task.workloads}
    for share in SHARES:
        fewer = at_rates(floors[-1], {name: share * rate for name, rate in rates.items()})
        found = make(fewer)
        if found is not None:
            return fewer, found.allotment, share
    raise NoPlanError(f"no plan for a tenth of the load on the {len(task.fleet.devices)} devices that are left")


def _floors(task: Task, aim: float | None) -> Sequence[Task]:
    """The task at floors of accuracy from what is aimed at down to the SLO's own, of each class down to its own."""
    if aim is None:
        return [task]

    def raised(floor: float, share: float) -> float:
        return floor + share * max(aim - floor, 0.0)

    def of(workload: Workload, share: float) -> Workload:
        slo = workload.slo
        classes = {name: raised(floor, share) for name, floor in slo.class_accuracy.items()}
        lowest = slo.min_accuracy if share == 0.0 else raised(slo.min_accuracy or 0.0, share)
        return replace(workload, slo=replace(slo, min_accuracy=lowest, class_accuracy=classes))

    return [replace(task, workloads=tuple(of(each, share) for each in task.workloads)) for share in STEPS_DOWN]


def devices_on(task: Task, plan: Plan) -> dict[tuple[str, str], int]:
    """Devices that a plan has on, by type and mode."""
    on = groups_of(task, present(task, plan))
    return {(task.kinds[number].type.name, mode): count for (number, mode), count in on.items()}
