"""Does the loop do what it should? Published pipelines on emulated fleets: as `heterosis rehearse` does it.

`loop` takes seven minutes: two pipelines on the twenty-four devices of `edge-street`, a day with a flash crowd of each
in five minutes. `loop-slow` and `loop-kill` take four and two: a device that slows down to half, and a node whose every
worker is killed at once. Joules are modelled throughout. A busy machine shows in the load generator's lag.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from heterosis.arrivals import surges
from heterosis.catalogue import open_fleet
from heterosis.cli.rehearse import read
from heterosis.control import Settings
from heterosis.terms import Fleet
from heterosis.workflow.loads import Moments, moments
from heterosis.workflow.rehearsal.faults import Fault, kill_fault, slow_fault
from heterosis.workflow.rehearsal.running import Figures, Load, Rehearsed, rehearse
from heterosis.workflow.rehearsal.setting import first_plan, joint_task, published
from heterosis.workflow.subserver import serving

FLEET = "edge-street"
SETTINGS = Settings(plan_every_s=20.0, horizon_s=60.0)
FIGURES = ("attainment", "p50_ms", "p99_ms", "goodput_rps", "joules")
RATE, CROWD = 9.0, 5.0
"""Of each pipeline on average, and how many times as many come in the thick of its flash crowd."""
APART_S = 5.0
"""Misses further apart than this are not of the same fault."""


def run(duration_s: float = 300.0) -> dict[str, float]:
    """Two pipelines, twenty-four devices, a day with a flash crowd of each in five minutes."""

    def draw(seed: int) -> list[float]:
        return surges(RATE, duration_s, seed, ratio=CROWD)

    return told(rehearsed("traffic+documents", FLEET, draw, RATE, duration_s, ()))


def run_slow(duration_s: float = 180.0, at_s: float = 60.0) -> dict[str, float]:
    """A device that runs at half its speed from a minute on: when it is noticed, and how long it hurts."""
    fleet = open_fleet(FLEET)
    device = busiest("traffic", fleet, 5.0)
    found = rehearsed("traffic", FLEET, "poisson", 5.0, duration_s, slow_fault(f"{device}=2@{at_s}", fleet))
    noticed = [float(each.split(" s ")[0]) for each in found.decisions_live if f"speed: {device}" in each]
    return told(found) | after_fault(found, at_s) | {"noticed after, s": min(noticed, default=np.nan) - at_s}


def run_kill(duration_s: float = 75.0, at_s: float = 30.0) -> dict[str, float]:
    """Every worker of a node is killed at once, and can come back a second later."""
    fleet = open_fleet(FLEET)
    node, _, _ = busiest("traffic", fleet, 5.0).partition("/")
    found = rehearsed("traffic", FLEET, "poisson", 5.0, duration_s, kill_fault(f"{node}@{at_s}+1", fleet))
    return told(found) | after_fault(found, at_s)


def after_fault(found: Rehearsed, at_s: float) -> dict[str, float]:
    """How long requests were missed for because of a fault, and what share of them was in time before and after it."""
    rows: dict[str, float] = {}
    for name, figures in {"simulated": found.simulated, "live": found.live}.items():
        ends_s = dip_s(figures.missed_s, at_s)
        parts = {"before the fault": (0.0, at_s), "after the dip": (at_s + ends_s, found.duration_s)}
        rows[f"length of the dip, s, {name}"] = ends_s
        for part, (begin, end) in parts.items():
            missed = sum(begin <= each < end for each in figures.missed_s)
            expected = found.requests * (end - begin) / found.duration_s
            rows[f"attainment {part}, {name}"] = 1 - missed / expected
    return rows


def dip_s(missed_s: Sequence[float], at_s: float) -> float:
    """From a fault to the last miss that follows it with never more than `APART_S` between one and the next."""
    end_s = at_s
    for moment in missed_s:
        if at_s <= moment <= end_s + APART_S:
            end_s = moment
    return end_s - at_s


def busiest(pipelines: str, fleet: Fleet, rate: float) -> str:
    """The device that most instances of the first plan are on."""
    task = joint_task(published(pipelines, fleet, rate), fleet, SETTINGS.horizon_s)
    units = [f"{each.node}/{each.device}" for each in first_plan(task)[1].placements]
    return max(units, key=units.count)


def rehearsed(
    pipelines: str,
    fleet: str,
    arrivals: str | Moments,
    rate: float,
    duration_s: float,
    faults: Sequence[Fault],
    serve: Callable[[str, Sequence[str]], AbstractContextManager[str]] = serving,
) -> Rehearsed:
    """Rehearse as the command does."""
    devices = open_fleet(fleet)
    workloads = published(pipelines, devices, rate)
    draw = moments(arrivals, rate, None, duration_s) if isinstance(arrivals, str) else arrivals
    drawn = {each.graph.pipeline: draw(number) for number, each in enumerate(workloads)}
    options = ["--fleet", fleet, "--rate", f"{rate}", "--adapt", "--every", f"{SETTINGS.plan_every_s}"]
    options += ["--horizon", f"{SETTINGS.horizon_s}"]
    return rehearse(
        workloads,
        devices,
        Load(moments=drawn, duration_s=duration_s, faults=tuple(faults)),
        SETTINGS,
        lambda folder: serve(pipelines, [*options, "--store", str(folder)]),
        read,
    )


def told(found: Rehearsed) -> dict[str, float]:
    """Every figure by how it was had, and live over simulated."""
    rows: dict[str, float] = {}
    columns: dict[str, Figures] = {"simulated": found.simulated, "live": found.live, "peak plan": found.static}
    for figure in FIGURES:
        values = {name: float(getattr(each, figure)) for name, each in columns.items()}
        rows |= {f"{figure}, {name}": value for name, value in values.items()}
        rows[f"{figure}, live / simulated"] = values["live"] / values["simulated"]
    rows["joules, live / peak plan"] = found.live.joules / found.static.joules
    rows["joules, simulated / peak plan"] = found.simulated.joules / found.static.joules
    rows["changes of plan, live"] = float(found.live.changes or 0)
    rows["requests lost"] = float(found.lost)
    rows["event loop held up at most, ms"] = found.longest_stall_ms or 0.0
    rows["of that by the server itself, ms"] = found.longest_own_stall_ms or 0.0
    rows["added by the server itself, ms, simulated as well"] = found.overhead_ms
    rows["load generator's lag_p99_ms"] = found.lag_p99_ms
    return rows
