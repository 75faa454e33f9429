"""Why a plan for a fleet is as it is: what each limit costs it, and why each other option was not taken.

Two figures tell what a limit is worth. The dual price of the program's linear relaxation is that of a little more of
it, in a fleet whose devices can be divided; what a whole step is worth is found by solving again.
"""

import math
from collections.abc import Iterator

import msgspec

from heterosis.planning.fleet.judging import judged
from heterosis.planning.fleet.planner import Answer, allot, refined, usable
from heterosis.planning.fleet.program import FleetProgram, Limits
from heterosis.planning.fleet.task import Objective, Task, Workload
from heterosis.planning.solver import Relaxation
from heterosis.terms import Fleet, Node, Option, Slo
from heterosis.terms.errors import HeterosisError

UNITS = {
    Objective.ENERGY: "W",
    Objective.PRICE: "$/h",
    Objective.CARBON: "g CO2/h",
    Objective.DEVICES: "devices",
    Objective.ACCURACY: "of accuracy",
    Objective.BUSY: "busy slots",
}
"""Of what a plan costs, by its objective."""

STEP_MS, STEP_ACCURACY, STEP_RPS = 10.0, 0.01, 1.0
"""Changes of a limit whose worth is told: of the SLO, of the accuracy floor, and of the rate."""
NEGLIGIBLE = 1e-3
"""Changes of the cost below this, relative, are none: answers are no better than that."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a limit adds to the cost, in units of the task's first objective; below 0, what it saves."""

    limit: str
    """``devices``, ``latency``, ``accuracy`` or ``rate``."""
    of: str
    """The type of device, or the pipeline."""
    change: str
    """The step in words."""
    marginal: float
    """By the relaxation's prices."""
    step: float | None
    """By solving again; None where no plan is possible then."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a plan is as it is. ``unit`` is that of its cost."""

    unit: str
    prices: tuple[Price, ...]
    options: tuple[Option, ...]
    """Every option of every stage, with the reason for which it was, or was not, taken."""

    def lines(self) -> Iterator[str]:
        """Say what the limits cost."""
        for price in self.prices:
            if price.step is None:
                yield f"{price.change}: no plan would be possible"
                continue
            does = self._changed(price.step) if price.step else "change nothing"
            divided = f"; {self._changed(price.marginal)} if devices could be divided" if price.marginal else ""
            yield f"{price.change} would {does}{divided}"
        if not self.prices:
            yield "no limit binds: the cheapest options keep them all"

    def _changed(self, value: float) -> str:
        return f"{'save' if value < 0 else 'cost'} {abs(value):.3g} {self.unit}"


def explain(task: Task, answer: Answer) -> Explanation:
    """Explain an answer to a task: what its limits cost, and every option."""
    options = usable(task)
    near = refined(task, options, answer.allotment)
    program = FleetProgram(task, near, Limits(latency=answer.latency))
    relaxed = program.relaxed(task.objectives[0])
    if relaxed is None:
        raise HeterosisError("the task has no plan, so there is none to explain")
    unit = UNITS[task.objectives[0]]
    return Explanation(
        unit=unit,
        prices=tuple(_prices(task, answer, program, relaxed)),
        options=tuple(judged(task, answer, options, program, relaxed, unit)),
    )


def _prices(task: Task, answer: Answer, program: FleetProgram, relaxed: Relaxation) -> Iterator[Price]:
    """Prices of the limits that are worth something."""
    limits = Limits(latency=answer.latency)
    base = allot(task, limits=limits) or answer
    nothing = NEGLIGIBLE * abs(base.cost)
    for limit, of, change, marginal, changed in _steps(task, answer, program, relaxed):
        again = allot(changed, limits=limits)
        step = None if again is None else again.cost - base.cost
        # What is loosened costs no more, what is asked for besides no less, but for latencies that were rounded.
        if (step is not None and (step > 0) != (limit == "rate")) or abs(step or 0.0) <= nothing:
            step = None if step is None else 0.0
        if step != 0.0 or abs(marginal) > nothing:
            yield Price(limit=limit, of=of, change=change, marginal=marginal, step=step)


def _steps(
    task: Task, answer: Answer, program: FleetProgram, relaxed: Relaxation
) -> Iterator[tuple[str, str, str, float, Task]]:
    """Every limit, of what, one step of it in words, what that is worth at the margin, and the task after the step."""
    prices = relaxed.row_prices
    on = answer.allotment.devices()
    for number, row in program.inventory_rows.items():
        kind, used = task.kinds[number], sum(count for group, count in on.items() if group[0] == number)
        if used == len(kind.units) or prices[row]:
            name = kind.type.name
            yield "devices", name, f"one more {name}", float(prices[row]), with_more(task, number)
    for number, workload in enumerate(task.workloads):
        pipeline, floor = workload.graph.pipeline, workload.slo.min_accuracy
        looser = _with(task, number, slo=_slo(workload, latency_ms=workload.slo.latency_ms + STEP_MS))
        per_s = sum(float(prices[row]) for row in program.path_rows[number]) * program.limits.latency
        yield "latency", pipeline, f"{STEP_MS:g} ms more of SLO for {pipeline}", per_s * STEP_MS / 1e3, looser
        if floor is not None and floor > STEP_ACCURACY:
            lower = _with(task, number, slo=_slo(workload, min_accuracy=floor - STEP_ACCURACY))
            change = f"an accuracy floor of {pipeline} lower by {STEP_ACCURACY}"
            marginal = -_floor_price(program, relaxed, number, floor)
            yield "accuracy", pipeline, change, marginal, lower
        faster = _with(task, number, rate_rps=workload.rate_rps + STEP_RPS)
        change = f"one more request/s of {pipeline}"
        yield "rate", pipeline, change, _rate_price(program, relaxed, number, workload), faster


def _rate_price(program: FleetProgram, relaxed: Relaxation, number: int, workload: Workload) -> float:
    """What the calls of one more request per second cost, served as the relaxation serves them."""
    total = 0.0
    for column, each in zip(program.chosen[number], program.choices[number].columns, strict=True):
        for key, per_s in each.calls_per_s.items():
            price = relaxed.row_prices[program.demand_rows[key]]
            total += float(price * per_s * relaxed.values[column]) / workload.rate_rps
    return total * STEP_RPS


def _floor_price(program: FleetProgram, relaxed: Relaxation, number: int, floor: float) -> float:
    """What the last step up to the floor costs; the program may keep it as a logarithm."""
    row = program.accuracy_rows.get(number)
    if row is None:
        return 0.0
    step = math.log(floor / (floor - STEP_ACCURACY)) if program.choices[number].logarithms else STEP_ACCURACY
    return float(relaxed.row_prices[row]) * step


def with_more(task: Task, number: int) -> Task:
    """Return a task whose fleet has one more device of a kind, beside the first of them."""
    kind = task.kinds[number]
    first = kind.units[0][0]

    def grown(node: Node) -> Node:
        if node.name != first:
            return node
        more = msgspec.structs.replace(kind.device, name=f"{kind.type.name}-more")
        return msgspec.structs.replace(node, devices=(*node.devices, more))

    return msgspec.structs.replace(task, fleet=Fleet(nodes=tuple(map(grown, task.fleet.nodes))))


def _slo(workload: Workload, **changes: float) -> Slo:
    return msgspec.structs.replace(workload.slo, **changes)


def _with(task: Task, number: int, **changes: object) -> Task:
    """Return a task with one of its pipelines changed."""
    changed = list(task.workloads)
    changed[number] = msgspec.structs.replace(changed[number], **changes)
    return msgspec.structs.replace(task, workloads=tuple(changed))
