"""The planner of fleets: a task in, an allotment out that was tried, and holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from heterosis.planning.fleet.allotment import Allotment
from heterosis.planning.fleet.options import Option, enumerate_options, rounded, undominated
from heterosis.planning.fleet.program import FleetProgram, Limits
from heterosis.planning.fleet.task import Objective, Task
from heterosis.planning.snapshot import Verdict

Verify = Callable[[Allotment], Verdict]
"""Tries an allotment, for example in the simulator; the latency is a multiple of the SLO where pipelines differ in
it."""

MANY, LEVELS, REACH = 100, 10, 2.0
"""Options that are taken as they are; levels of latency that more are rounded to; and how far, as a ratio, these then
lie around what was found."""

FINE = 4 * LEVELS
"""Levels by which it is told whether there is an answer at all."""

MOST_TRIES = 8
STEP, CLOSE = 1.25, 1.03
"""Ratios of the latencies that plans are made for: of the search for one that holds, or does not, and of its end."""
FIRST_STEP = 1.04
"""Of a search that begins where an earlier one ended; each step is the square of the one before."""
MOST = 3.0
"""Of the SLO, what is planned for at most."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An allotment, and what it costs by the task's first objective: W, price or g CO2 per hour, devices."""

    allotment: Allotment
    cost: float
    verdict: Verdict | None = None
    latency: float = 1.0
    """Of the SLO, the share that it was planned for."""


def allot(task: Task, *, limits: Limits | None = None, options: Sequence[Option] | None = None) -> Answer | None:
    """Return the best allotment by the options' own figures, or None where there is none.

    ``options`` to choose from, instead of all that the profile has. Of more than `MANY`, latencies are rounded up to a
    few levels, evenly at first and then again around the budgets that this gave: exact but for that.
    """
    limits = limits or Limits()
    options = usable(task) if options is None else options
    if {option.stage for option in options} != set(task.stages):
        return None
    if len(options) <= MANY:
        return _solved(task, options, limits)
    coarse = _solved(task, _rounded(task, options, _evenly(task, options, limits)), limits)
    if coarse is None:
        return _solved(task, _rounded(task, options, _evenly(task, options, limits, FINE)), limits)
    fine = _solved(task, refined(task, options, coarse.allotment), limits)
    return coarse if fine is None or coarse.cost < fine.cost else fine


def _solved(task: Task, options: Sequence[Option], limits: Limits) -> Answer | None:
    found = FleetProgram(task, options, limits).solve()
    if found is not None and limits.memory and not found[0].fits(task):  # a stage has several variants on one device
        found = FleetProgram(task, options, replace(limits, every_configuration=True)).solve()
    return found and Answer(allotment=found[0], cost=found[1], latency=limits.latency)


def _evenly(task: Task, options: Sequence[Option], limits: Limits, levels: int = LEVELS) -> dict[str, list[float]]:
    """Levels from the least latency of each stage to what its pipeline may take in all."""
    found = {}
    for stage, workload in task.stages.items():
        of = [option.latency_s for option in options if option.stage == stage]
        most = min(limits.latency * workload.slo.latency_ms / 1e3, max(of))
        found[stage] = np.geomspace(min(of), max(most, min(of)), levels).tolist()
    return found


def refined(task: Task, options: Sequence[Option], allotment: Allotment) -> list[Option]:
    """Return the options worth a look near an allotment: latencies rounded to levels around its budgets where many."""
    if len(options) <= MANY:
        return list(options)
    around = {
        stage: np.geomspace(budget / REACH, budget * REACH, LEVELS).tolist()
        for stage, budget in allotment.budgets_s(task).items()
    }
    return _rounded(task, options, around)


def _rounded(task: Task, options: Sequence[Option], levels: Mapping[str, Sequence[float]]) -> list[Option]:
    return undominated(rounded(options, levels), task)


def usable(task: Task) -> list[Option]:
    """The options that no other is as good as in every way."""
    return undominated(enumerate_options(task), task)


def verified(task: Task, verify: Verify, *, begin: float | None = None) -> Answer | None:
    """Return the cheapest allotment found that holds when tried, or None where none does.

    The options' waits are a model: percentiles of stages do not add up, and stages that share devices wait for each
    other. So the share of the SLO that is planned for is searched, upwards while plans hold, downwards while they do
    not, until it is known to `CLOSE`. Each pipeline has to hold at its own percentile. ``begin`` is the share that a
    like task was planned for: from there fewer tries are needed.
    """
    options, tried = usable(task), dict[Allotment, Verdict]()
    holds_at, fails_at, latency = 0.0, math.inf, begin or 1.0
    step = STEP if begin is None else FIRST_STEP
    best: Answer | None = None
    for _ in range(MOST_TRIES):
        answer = allot(task, limits=Limits(latency=latency), options=options)
        if answer is None:
            holds_at = latency  # nothing is possible so far down
        else:
            verdict = tried.get(answer.allotment) or verify(answer.allotment)
            tried[answer.allotment] = verdict
            if not holds(task, verdict):
                fails_at = latency
            else:
                holds_at = latency
                if best is None or answer.cost < best.cost:
                    best = msgspec.structs.replace(answer, verdict=verdict)
        if fails_at / max(holds_at, 1e-9) < CLOSE:
            break
        if fails_at == math.inf:
            if latency >= MOST:
                break
            latency *= step
        elif not holds_at:
            latency /= step
        else:
            latency = math.sqrt(holds_at * fails_at)
        step = min(step**2, STEP)
    return best


def holds(task: Task, verdict: Verdict) -> bool:
    """Whether every pipeline kept its SLO when an allotment was tried."""
    each = [verdict.by_pipeline.get(of.graph.pipeline, verdict.attainment) for of in task.workloads]
    return all(share >= of.slo.percentile / 100 for share, of in zip(each, task.workloads, strict=True))


def maximum_rate(task: Task) -> float:
    """Return by how much all rates can be multiplied with a plan still possible, by the options' own figures."""
    low, high = 0.0, 1.0
    while allot(_scaled(task, high)) is not None:
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        if allot(_scaled(task, middle)) is None:
            high = middle
        else:
            low = middle
    return low


def _scaled(task: Task, factor: float) -> Task:
    workloads = tuple(
        msgspec.structs.replace(workload, rate_rps=factor * workload.rate_rps) for workload in task.workloads
    )
    return msgspec.structs.replace(task, workloads=workloads, objectives=(Objective.DEVICES,))
