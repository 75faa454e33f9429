"""Carbon: what a day emits by the grid's hourly intensity, and floors of accuracy that follow it.

The knob is Clover's (Li et al., "Clover: Toward sustainable AI with carbon-aware machine learning inference service",
SC'23): less accurate variants while the grid is dirty, more accurate ones while it is clean. Clover anneals a weighted
sum of both as the intensity changes; here the floors of a whole day are chosen at once, so that the mean accuracy stays
at the floor. That needs the intensity of the day ahead, of which forecasts are published; here it is known exactly.
Requests are expected to come as they did the day before.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from heterosis.planning.fleet import Allotment, Task, Workload, accuracy, power_w, to_plan
from heterosis.planning.fleet.allotment import on_power_w
from heterosis.planning.fleet.changes.headroom import load_of
from heterosis.planning.fleet.changes.transitions import transition
from heterosis.planning.solver import Program
from heterosis.studies.energy.competitors import OURS, Competitor, competitors
from heterosis.studies.energy.control import EPOCH_S, LEAST_RPS, Course, raised, yesterday
from heterosis.studies.energy.setting import PIPELINES, workloads
from heterosis.terms import Plan
from heterosis.terms.errors import UsageError

CARBON = f"{OURS}:carbon"
RAISES = (-0.09, -0.06, -0.03, 0.0, 0.03, 0.06, 0.09)
"""What may be added to the floors of an hour."""
FOLDER = "carbon"
HOURS = 24
UTC_OFFSET_H = {"CISO_March": -8, "CISO_Sep": -7, "ESO_March": 0}
"""Of the regions. The series are taken to start at midnight UTC, as the hours of most sun in California tell."""
JOULES_PER_KWH = 3.6e6
TOLERANCE, GAP = 1e-6, 1e-3


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A region's day."""

    name: str
    g_per_kwh: tuple[float, ...]
    """Grams of CO2 (equivalents) per kWh, of each hour from the region's midnight on."""


CALIFORNIA = Grid(
    name="CISO_March",
    g_per_kwh=(
        *(314.22, 320.24, 330.58, 324.14, 329.44, 340.14, 353.57, 351.81, 352.33, 287.67, 165.83, 117.63),
        *(96.83, 98.22, 101.37, 102.56, 103.57, 113.15, 145.22, 170.3, 252.83, 309.9, 309.1, 316.32),
    ),
)
"""California's grid on a day of March, from the traces of Clover's artifact (MIT licence, 2023 Baolin Li)."""


def read_grids(data: Path | None) -> tuple[Grid, ...]:
    """Read ``data/carbon/*.csv``: a region's name, then its intensity hour by hour; without, `CALIFORNIA` alone."""
    if data is None:
        return (CALIFORNIA,)
    found = []
    for path in sorted((data / FOLDER).glob("*.csv")):
        with path.open(newline="") as file:
            (name,), *rows = [row for row in csv.reader(file) if row]
        try:
            series = [float(row[0]) for row in rows]
        except ValueError as error:
            raise UsageError(f"{path} is no series of intensities, one to a line: {error}") from None
        midnight = -UTC_OFFSET_H.get(name, 0) % HOURS
        if len(series) < midnight + HOURS:
            raise UsageError(f"{path} has no whole day of {name}: {len(series)} hours from midnight UTC on")
        found.append(Grid(name=name, g_per_kwh=tuple(series[midnight : midnight + HOURS])))
    if not found:
        raise UsageError(f"there is no {data / FOLDER}/*.csv: --data names the folder that holds {FOLDER}/")
    return tuple(sorted(found, key=lambda grid: (grid.name != CALIFORNIA.name, grid.name)))


def joules_by_epoch(
    planned: Course, rates: Sequence[Mapping[str, float]], parts: Mapping[str, float], *, power_off: bool
) -> tuple[float, ...]:
    """Spread a day's simulated joules over its epochs, as the plans in force would spend them at the actual rates.

    Idle power goes by the devices that are on (evenly where none is ever off), all else by the power of the calls.
    """
    idle_w, calls_w = [], []
    for task, allotment, rate in zip(planned.tasks, planned.allotments, rates, strict=True):
        on_w = sum(count * (on_power_w(task, group) or 0.0) for group, count in allotment.devices().items())
        idle_w.append(on_w if power_off else 1.0)
        calls_w.append(_calls_w(task, allotment, rate))
    idle_j = parts["idle"]
    calls_j = sum(parts.values()) - idle_j
    return tuple(
        idle_j * idle / sum(idle_w) + calls_j * calls / sum(calls_w)
        for idle, calls in zip(idle_w, calls_w, strict=True)
    )


def _calls_w(task: Task, allotment: Allotment, rates: Mapping[str, float]) -> float:
    """Power of the calls, were the requests of each pipeline to come at these rates rather than those planned for."""
    share = {workload.graph.pipeline: rates[workload.graph.pipeline] / workload.rate_rps for workload in task.workloads}
    return sum(
        share[task.stages[host.option.stage].graph.pipeline] * host.per_s * (host.option.energy_j or 0.0)
        for host in allotment.hosted()
    )


def grams(joules: Sequence[float], grid: Grid) -> float:
    """What the joules of each hour emit."""
    return sum(each * g / JOULES_PER_KWH for each, g in zip(joules, grid.g_per_kwh, strict=True))


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of an hour with raised (or lowered) floors."""

    raised: float
    watts: float
    accuracy: tuple[float, ...]
    """Of each pipeline."""
    plan: Plan


def menu(competitor: Competitor, rates: Sequence[Mapping[str, float]]) -> list[list[Choice]]:
    """Plan every epoch with every raise of the floors that a plan is found for."""
    return [
        [choice for by in RAISES if (choice := _choice(competitor, raised(workloads(dict(each)), by), by)) is not None]
        for each in rates
    ]


def _choice(competitor: Competitor, asked: tuple[Workload, ...], by: float) -> Choice | None:
    task = competitor.task(asked)
    allotment = competitor.plan(task)
    watts = None if allotment is None else power_w(task, allotment)
    if allotment is None or watts is None:
        return None
    return Choice(
        raised=by,
        watts=watts,
        accuracy=tuple(accuracy(workload, allotment) or 0.0 for workload in task.workloads),
        plan=to_plan(task, allotment),
    )


def change_j(
    competitor: Competitor, rates: Sequence[Mapping[str, float]], choices: Sequence[Sequence[Choice]]
) -> float:
    """Mean joules of going from an hour's plan to the next more accurate one (see `transition`)."""
    costs = []
    for each, of in zip(rates, choices, strict=True):
        task = competitor.task(workloads(dict(each)))
        for old, new in pairwise(of):
            cost_j = transition(task, old.plan, new.plan, load_of(new.plan)).cost_j
            costs.append(cost_j or 0.0)
    return sum(costs) / len(costs) if costs else 0.0


def least_carbon(
    choices: Sequence[Sequence[Choice]],
    rates: Sequence[Mapping[str, float]],
    g_per_kwh: Sequence[float],
    change_j: float = 0.0,
) -> tuple[float, ...] | None:
    """Choose for each epoch by how much to raise the floors, for the least grams in all; None where nothing does.

    The mean accuracy of each pipeline, weighted by its requests, is kept at its floor: a multiple-choice knapsack, in
    which to change floors between two epochs costs ``change_j``.
    """
    columns = [(epoch, choice) for epoch, of in enumerate(choices) for choice in of]
    count, epochs = len(columns), len(choices)
    program = Program(np.zeros(count + epochs), np.ones(count + epochs), count)
    for epoch in range(epochs):
        program.add({column: 1.0 for column, (of, _) in enumerate(columns) if of == epoch}, 1.0, 1.0)
    for column, (epoch, choice) in enumerate(columns):
        if epoch:
            before = {
                other: -1.0 for other, (of, its) in enumerate(columns) if (of, its.raised) == (epoch - 1, choice.raised)
            }
            program.add({column: 1.0, **before, count + epoch: -1.0}, upper=0.0)
    for number, workload in enumerate(workloads(dict.fromkeys(PIPELINES, 1.0))):
        name, floor = workload.graph.pipeline, workload.slo.min_accuracy or 0.0
        total = sum(each[name] for each in rates)
        weighted = {
            column: rates[epoch][name] / total * choice.accuracy[number]
            for column, (epoch, choice) in enumerate(columns)
        }
        program.add(weighted, floor - TOLERANCE)
    cost = np.array([choice.watts * g_per_kwh[epoch] for epoch, choice in columns])
    change = np.array([change_j / EPOCH_S * g for g in g_per_kwh])
    values = program.minimise(np.concatenate((cost, change)) / cost.max(), gap=GAP)
    if values is None:
        return None
    return tuple(choice.raised for (_, choice), value in zip(columns, values[:count], strict=True) if round(value))


def raises_of_day(load: float, seed: int, margin: float, grid: Grid) -> tuple[float, ...] | None:
    """By how much ours raises the floors in each epoch of a day, for which it expects the rates of the day before."""
    choices, cost_j = _menu(load, seed, margin)
    return least_carbon(choices, yesterday(load, seed), grid.g_per_kwh, cost_j)


@cache
def _menu(load: float, seed: int, margin: float) -> tuple[list[list[Choice]], float]:
    rates = [
        {name: margin * max(rate, LEAST_RPS * load) for name, rate in each.items()} for each in yesterday(load, seed)
    ]
    ours = competitors()[OURS]
    choices = menu(ours, rates)
    return choices, change_j(ours, rates, choices)
