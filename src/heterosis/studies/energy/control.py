"""Planning through the day: every hour a forecast, a plan for it, and the way from the last plan to that.

Nothing looks ahead: the forecast knows yesterday (another seed) and today up to now.
"""

import time
from collections.abc import Sequence

import msgspec

from heterosis.control.demand import CERTAINTY
from heterosis.control.questions import RESERVE
from heterosis.planning.fleet import Allotment, Task, Workload, holds, lower_bound, to_plan
from heterosis.planning.fleet.changes import load_of, worthwhile
from heterosis.planning.forecast import Forecast
from heterosis.studies.energy.competitors import Competitor
from heterosis.studies.energy.setting import DAY_S, PIPELINES, moments, workloads
from heterosis.terms import Plan
from heterosis.workflow.fleets import simulated

EPOCH_S = 30.0
EPOCHS = int(DAY_S / EPOCH_S)
LEAD_S = 1.5 * EPOCH_S
"""From the last interval that was observed to the middle of the one planned for."""
LEAST_RPS = 0.5


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of a day."""

    first: Plan
    changes: tuple[tuple[float, Plan], ...]
    allotments: tuple[Allotment, ...]
    """One for each epoch."""
    tasks: tuple[Task, ...]
    starting_j: float
    solve_s: float
    """Longest time that a plan took to make."""


def rates_of(day: dict[str, list[float]]) -> list[dict[str, float]]:
    """Requests per second of each pipeline in each epoch."""
    found: list[dict[str, float]] = [dict.fromkeys(PIPELINES, 0.0) for _ in range(EPOCHS)]
    for name, times in day.items():
        for at in times:
            found[min(int(at / EPOCH_S), EPOCHS - 1)][name] += 1 / EPOCH_S
    return found


def yesterday(load: float, seed: int) -> list[dict[str, float]]:
    """The rates of the day before, of another seed."""
    return rates_of({name: moments(name, load, seed + 500) for name in PIPELINES})


def forecasts(load: float, seed: int) -> list[dict[str, float]]:
    """The rates to plan for in each epoch of a day, from the day before and what came so far."""
    today = rates_of({name: moments(name, load, seed) for name in PIPELINES})
    planned: list[dict[str, float]] = [{} for _ in range(EPOCHS)]
    for name in PIPELINES:
        forecast = Forecast(LEAD_S, period_s=DAY_S, parts=EPOCHS, recent_s=2 * EPOCH_S)
        seen = [*yesterday(load, seed), *today]
        for number, rates in enumerate(seen):
            begin = number * EPOCH_S
            forecast.observe(begin, begin + EPOCH_S, rates[name])
            epoch = number + 1 - EPOCHS
            if 0 <= epoch < EPOCHS:
                planned[epoch][name] = max(forecast.rate(CERTAINTY), LEAST_RPS * load)
    return planned


def raised(asked: tuple[Workload, ...], by: float) -> tuple[Workload, ...]:
    """Workloads with other floors of accuracy."""
    change = msgspec.structs.replace
    return tuple(
        change(each, slo=change(each.slo, min_accuracy=(each.slo.min_accuracy or 0.0) + by)) if by else each
        for each in asked
    )


def course(
    competitor: Competitor, load: float, seed: int, margin: float, raises: Sequence[float] = ()
) -> Course | None:
    """Plan a day; rates are forecasts times ``margin``. None where the planner finds no plan for one of the epochs.

    ``raises`` are added to the floors of accuracy of each epoch.
    """
    task = competitor.task(workloads(dict.fromkeys(PIPELINES, 1.0)))
    plan: Plan | None = None
    first: Plan | None = None
    changes: list[tuple[float, Plan]] = []
    allotments: list[Allotment] = []
    tasks: list[Task] = []
    longest = starting_j = 0.0
    for epoch, rates in enumerate(forecasts(load, seed)):
        asked = workloads({name: margin * rate for name, rate in rates.items()})
        task = competitor.task(raised(asked, raises[epoch] if raises else 0.0), plan)
        begin = time.perf_counter()
        allotment = competitor.plan(task)
        longest = max(longest, time.perf_counter() - begin)
        if allotment is None:
            return None
        prefer = [] if plan is None else [(each.node, each.device) for each in plan.placements]
        new = to_plan(task, allotment, prefer=prefer)
        if plan is None or first is None:
            first = new
        else:
            decision = worthwhile(task, plan, new, load={name: RESERVE * each for name, each in load_of(new).items()})
            # That devices bear their rates in full batches is not enough: here no tuner adds any until the next hour.
            if not decision.change and (new == plan or holds(task, simulated(task)(allotments[-1]))):
                allotments.append(allotments[-1])
                tasks.append(tasks[-1])
                continue
            way = decision.transition
            at = epoch * EPOCH_S
            for step in way.steps:
                at += step.after_s
                changes.append((at, step.plan))
            starting_j += way.starting_j
        plan = new
        allotments.append(allotment)
        tasks.append(task)
    assert first is not None  # noqa: S101 - a day has epochs
    return Course(
        first=first,
        changes=tuple(sorted(changes, key=lambda change: change[0])),
        allotments=tuple(allotments),
        tasks=tuple(tasks),
        starting_j=starting_j,
        solve_s=longest,
    )


def bound_j(competitor: Competitor, rates: Sequence[dict[str, float]], *, whole_devices: bool) -> float:
    """Joules of a day for one who knows the rates of each epoch (see `lower_bound`)."""
    total = 0.0
    for each in rates:
        task = competitor.task(workloads({name: max(rate, 1e-3) for name, rate in each.items()}))
        task = msgspec.structs.replace(task, horizon_s=DAY_S**3)  # to start devices costs nothing
        watts = lower_bound(task, whole_devices=whole_devices)
        assert watts is not None  # noqa: S101 - the rack can serve what the study asks of it
        total += EPOCH_S * watts
    return total
