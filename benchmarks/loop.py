"""Does the loop do what it should? Published pipelines on emulated fleets: as `heterosis rehearse` does it.

`loop` takes seven minutes: two pipelines on the twenty-four devices of `edge-street`, a day with flash crowds in five
minutes. `loop-slow` and `loop-kill` take four and two: a device that slows down to half, and a node whose every worker
is killed at once. `loop-soak` is half an hour of virtual time under a random fault schedule: kills, slowdowns, bursts,
the scheduler's books checked after every step. Joules are modelled throughout. A busy machine shows in the load
generator's lag.
"""

import tracemalloc
from collections.abc import Sequence

import numpy as np

from heterosis.catalogue import open_fleet
from heterosis.cli.rehearse import read
from heterosis.control import Settings, Steering
from heterosis.control.power import Power
from heterosis.planning.fleet import Answer, Limits, Task, allot, to_plan
from heterosis.scheduling import Record, validate
from heterosis.simulation import DeviceFailure, Setting, Simulator, Slowdown
from heterosis.terms import Fleet
from heterosis.workflow.loads import moments
from heterosis.workflow.rehearsal.faults import Fault, kill_fault, slow_fault
from heterosis.workflow.rehearsal.running import Figures, Load, Rehearsed, merged, rehearse
from heterosis.workflow.rehearsal.setting import controller_of, first_plan, joint_task, published
from heterosis.workflow.subserver import serving

FLEET = "edge-street"
SETTINGS = Settings(plan_every_s=20.0, horizon_s=60.0)
FIGURES = ("attainment", "p50_ms", "p99_ms", "goodput_rps", "joules")
APART_S = 5.0
"""Misses further apart than this are not of the same fault."""
LATENCY = 0.85
"""Of the SLO, what the soak plans for, without trying."""


def run() -> dict[str, float]:
    """Two pipelines, twenty-four devices, a day with flash crowds in five minutes."""
    return told(rehearsed("traffic+documents", FLEET, "surges", 12.0, 300.0, ()))


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
    pipelines: str, fleet: str, arrivals: str, rate: float, duration_s: float, faults: Sequence[Fault]
) -> Rehearsed:
    """Rehearse as the command does."""
    devices = open_fleet(fleet)
    workloads = published(pipelines, devices, rate)
    draw = moments(arrivals, rate, None, duration_s)
    drawn = {each.graph.pipeline: draw(number) for number, each in enumerate(workloads)}
    options = ["--fleet", fleet, "--rate", f"{rate}", "--adapt", "--every", f"{SETTINGS.plan_every_s}"]
    options += ["--horizon", f"{SETTINGS.horizon_s}"]
    return rehearse(
        workloads,
        devices,
        Load(moments=drawn, duration_s=duration_s, faults=tuple(faults)),
        SETTINGS,
        lambda folder: serving(pipelines, [*options, "--store", str(folder)]),
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
    rows["load generator's lag_p99_ms"] = found.lag_p99_ms
    return rows


def quick(task: Task) -> Answer | None:
    """Plan without trying."""
    return allot(task, limits=Limits(latency=LATENCY))


class Checked(Steering):
    """Checks the scheduler's books after every step."""

    simulator: Simulator | None = None

    def observe(self, record: Record) -> None:
        """Take a step, and check."""
        super().observe(record)
        assert self.simulator is not None
        validate(self.simulator.scheduler)


def fault_schedule(
    fleet: Fleet, duration_s: float, seed: int, *, every_s: float = 60.0
) -> tuple[list[DeviceFailure], list[Slowdown]]:
    """Draw kills (away for some seconds) and slowdowns (over after a while) of random devices."""
    rng = np.random.default_rng(seed)
    units = [(node.name, device.name) for node in fleet.nodes for device in node.devices]
    failures, slowdowns = [], list[Slowdown]()
    at_s = float(rng.exponential(every_s))
    while at_s < duration_s:
        node, device = units[int(rng.integers(len(units)))]
        if rng.random() < 0.5:
            failures.append(DeviceFailure(node, device, at_s, float(rng.exponential(10.0))))
        else:
            slowdowns.append(Slowdown(node, device, at_s, float(rng.uniform(1.5, 3.0))))
            slowdowns.append(Slowdown(node, device, at_s + float(rng.exponential(60.0)), 1.0))
        at_s += float(rng.exponential(every_s))
    return failures, sorted(slowdowns, key=lambda each: each.at_s)


def run_soak(duration_s: float = 1800.0, rate: float = 4.0, seed: int = 0) -> dict[str, float]:
    """Half an hour of bursts under random faults, in virtual time."""
    fleet = open_fleet("edge-rack")
    task = joint_task(published("traffic", fleet, rate), fleet, SETTINGS.horizon_s)
    answer = quick(task)
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    controller = controller_of(task, answer, plan, SETTINGS, 0.0)
    steering = Checked(controller, quick)
    failures, slowdowns = fault_schedule(fleet, duration_s, seed)
    setting = Setting(
        power=Power(fleet=fleet),
        steering=steering,
        device_failures=failures,
        slowdowns=slowdowns,
        patience_s=60.0,
    )
    load = Load(moments={"traffic": moments("bursts", rate, None, duration_s)(seed)}, duration_s=duration_s, seed=seed)
    steering.simulator = simulator = Simulator(plan, seed=seed, setting=setting)
    tracemalloc.start()
    outcome = simulator.run(merged(task, load))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outcome.records) == len(load.moments["traffic"])
    return {
        "requests": float(len(outcome.records)),
        "attainment": outcome.attainment,
        "kills": float(len(failures)),
        "slowdowns": len(slowdowns) / 2,
        "changes of plan": float(controller.changes),
        "MB held at the end": held / 2**20,
        "joules": outcome.joules.total.joules or np.nan,
    }
