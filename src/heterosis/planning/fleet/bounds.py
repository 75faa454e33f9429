"""What no plan for a fleet can do better, even for one who knows what comes.

Nobody waits for an instance, instances are busy all the time, and along every path only the mean run times have to fit
the SLO. Batches are as full as arrivals allow: the requests of one batch have arrived within one SLO, or the first
would be late. To cover Poisson arrivals at rate ``r`` by as few windows of length ``T`` as possible, each window begins
with an arrival and holds ``1 + r T`` of them on average; so a stage with ``n`` calls per request cannot have batches of
more than ``n (1 + r T)`` calls on average. (The joules of a batch are taken as linear in its size between the sizes
measured.)
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from heterosis.planning.curve import curves
from heterosis.planning.fleet.allotment import rest_power_w
from heterosis.planning.fleet.options import ROUNDING, Option, enumerate_options, undominated
from heterosis.planning.fleet.program import FleetProgram, Limits
from heterosis.planning.fleet.task import Objective, Task

GAP = 0.01
"""How far the bound with whole devices may lie below the best there is; to close the rest takes long."""

LEVELS = 24
"""Run times that are told apart."""


def lower_bound(task: Task, *, whole_devices: bool = False) -> float | None:
    """Return a cost, by the task's first objective, that no plan stays below; None where no plan is possible at all.

    Devices can be divided, which is a bound for any plan; with ``whole_devices`` they cannot: that is a bound where
    requests come more often than a device can be switched off and on again.
    """
    options = list(_options(task))
    if not options:
        return None
    kept = undominated(_rounded_down(options), task)
    program = FleetProgram(task, kept, Limits())
    rest = rest_power_w(task) if task.objectives[0] is Objective.ENERGY else 0.0
    if not program.possible:
        return None
    if whole_devices:
        bound = program.program.bound(program.cost(task.objectives[0]), GAP)
        return None if bound is None else bound + rest
    found = program.relaxed(task.objectives[0])
    return None if found is None else found.cost + rest


def _options(task: Task) -> Iterator[Option]:
    """Every option as if nothing stood in its way."""
    known = curves(point for workload in task.workloads for point in workload.profile.points)
    seen = set()
    for option in enumerate_options(task):
        workload = task.stages[option.stage]
        window_s = workload.slo.latency_ms / 1e3
        fullest = workload.demand(option.stage).mean * (1 + workload.rate_rps * window_s)
        batch = min(option.batch, math.ceil(fullest))
        key = (option.configuration, option.group, batch)
        if key not in seen:
            seen.add(key)
            curve = known[option.configuration]
            run_s, joules = curve.mean_ms[batch] / 1e3, curve.energy[batch].joules
            yield replace(
                option,
                batch=batch,
                utilisation=1.0,
                slot_s=option.configuration.threads * run_s / batch,
                run_s=run_s,
                servers=0,
                batch_s=run_s,
                wait_s=0.0,
                fill_s=0.0,
                energy_j=None if joules is None else joules / batch,
            )


def _rounded_down(options: list[Option]) -> list[Option]:
    """Round run times down to a few levels, which keeps the bound a bound, and the program small."""
    least, most = min(each.run_s for each in options), max(each.run_s for each in options)
    levels = np.geomspace(least, most, LEVELS)
    at = np.searchsorted(levels, [each.run_s * (1 + ROUNDING) for each in options], side="right") - 1
    return [replace(each, run_s=float(levels[number])) for each, number in zip(options, at.tolist(), strict=True)]
