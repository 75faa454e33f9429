"""A rehearsal: one load, predicted by the planner, simulated, and served live by the real server to real clients."""

import asyncio
import heapq
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import numpy as np

from heterosis.bench import Outcome as Answered
from heterosis.bench import make_shots, offer
from heterosis.bench.load import warm_up
from heterosis.client import Client
from heterosis.control import Noted, Settings, Steering
from heterosis.pipeline import load_pipeline
from heterosis.planning.fleet import Answer, Task, Workload, to_plan
from heterosis.simulation import Arrival, Outcome, RequestClass, Setting, Simulator, make_report, workload
from heterosis.terms import Fleet, Overhead, Plan
from heterosis.workflow.fleets import expected, plan_fleet
from heterosis.workflow.rehearsal.emulation import write_pipeline
from heterosis.workflow.rehearsal.faults import Fault, play, simulated_faults
from heterosis.workflow.rehearsal.overhead import Alone, ask_alone, overhead_of
from heterosis.workflow.rehearsal.setting import at, controller_of, first_plan, joint_task, power_of
from heterosis.workflow.replanning.following import Following

PEAK_S = 10.0
"""A static plan is made for the most that comes in so many seconds."""
PREDICTIONS = 3

Serve = Callable[[Path], AbstractContextManager[str]]
"""Starts the server to rehearse, with a folder as its store; gives its URL."""
Tell = Callable[[str], object]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the load, or should. What is None is not told that way. Joules are modelled."""

    attainment: float
    p50_ms: float
    p99_ms: float
    goodput_rps: float
    joules: float
    joules_per_answer: float
    by_pipeline: Mapping[str, float] = {}
    """Attainment of each."""
    changes: int | None = None
    """How often the plan was changed."""
    missed_s: tuple[float, ...] = ()
    """When those requests were due that were not answered in time, ascending."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself."""

    joules: float
    changes: int
    longest_stall_ms: float | None
    longest_own_stall_ms: float | None
    decisions: tuple[tuple[float, str], ...]
    """How long ago, and what."""
    uptime_s: float


Read = Callable[[str], Reading]


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal's figures side by side."""

    requests: int
    duration_s: float
    devices: int
    predicted: Figures
    """Of the plan at the mean rates, under Poisson arrivals."""
    simulated: Figures
    """The loop in virtual time, under the very arrivals."""
    live: Figures
    static: Figures
    """A plan for the peak that nothing changes, simulated."""
    overhead_ms: float
    """What the server itself adds to a request that is alone, as measured before the load; the simulator adds it, too.
    """
    lost: int
    """Requests that got no answer of any kind: none may."""
    lag_p99_ms: float
    """How late the load generator was: more than a few milliseconds says that the machine is too busy to judge."""
    longest_stall_ms: float | None
    """For how long the server's event loop was held up at the longest."""
    longest_own_stall_ms: float | None
    """Likewise, as far as the server's own work can have been the reason, and not that others had the cores."""
    decisions_simulated: tuple[str, ...]
    decisions_live: tuple[str, ...]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What comes: moments by pipeline, and what goes wrong meanwhile."""

    moments: Mapping[str, Sequence[float]]
    duration_s: float
    seed: int = 0
    faults: tuple[Fault, ...] = ()

    def arrivals(self, workloads: Sequence[Workload]) -> dict[str, list[Arrival]]:
        """Give each moment a request, by pipeline."""
        return {
            each.graph.pipeline: workload(
                self.moments[each.graph.pipeline],
                [
                    RequestClass(
                        shapes=each.graph.requests,
                        name=each.graph.pipeline,
                        pipeline=each.graph.pipeline,
                        latency_ms=each.slo.latency_ms,
                    )
                ],
                seed=self.seed + number,
            )
            for number, each in enumerate(workloads)
        }

    def peak(self) -> dict[str, float]:
        """Most requests per second of each pipeline in any `PEAK_S`."""
        found = {}
        for name, moments in self.moments.items():
            counts = np.searchsorted(moments, np.asarray(moments) + PEAK_S) - np.arange(len(moments))
            found[name] = float(counts.max(initial=1)) / PEAK_S
        return found


def rehearse(
    workloads: Sequence[Workload],
    fleet: Fleet,
    load: Load,
    settings: Settings,
    serve: Serve,
    read: Read,
    tell: Tell = lambda _: None,
) -> Rehearsed:
    """Predict, serve, simulate; ``read`` asks a server what it has spent and done."""
    from heterosis.serving.server import run

    task = joint_task(workloads, fleet, settings.horizon_s)
    tell("predicting")
    answer, plan = first_plan(task)
    foretold = expected(task, answer.allotment, PREDICTIONS)
    begin = time.monotonic()
    Following(answer.latency)(task)
    planning_s = time.monotonic() - begin
    with tempfile.TemporaryDirectory(prefix="heterosis-rehearsal-") as name:
        folder = Path(name)
        tell("starting the server")
        with serve(folder) as url:
            tell("serving")
            alone, before, after, outcomes = run(_offer(url, folder, workloads, load, read))
    overhead = overhead_of(task, plan, alone)
    tell("simulating a plan for the peak")
    static = simulate_static(task, load, overhead)
    tell("simulating the loop")
    plan = msgspec.structs.replace(plan, overhead=overhead)
    simulated, noted = simulate(task, answer, plan, load, settings, planning_s, before.uptime_s)
    every = [each for of in outcomes.values() for each in of]
    return Rehearsed(
        requests=sum(map(len, load.moments.values())),
        duration_s=load.duration_s,
        devices=len(fleet.devices),
        predicted=_predicted({name: each.mean for name, each in foretold.items()}, task, load),
        simulated=simulated,
        live=_live(workloads, outcomes, after.joules - before.joules, after.changes - before.changes),
        static=static,
        overhead_ms=overhead.wall_ms,
        lost=sum(each.status == 0 for each in every),
        lag_p99_ms=float(np.percentile([each.lag_ms for each in every], 99)),
        longest_stall_ms=after.longest_stall_ms,
        longest_own_stall_ms=after.longest_own_stall_ms,
        decisions_simulated=tuple(f"{each.at:.1f} s {each.what}: {each.reason}" for each in noted),
        decisions_live=tuple(f"{load.duration_s - ago:.1f} s {what}" for ago, what in reversed(after.decisions)),
    )


def simulate(
    task: Task, answer: Answer, plan: Plan, load: Load, settings: Settings, planning_s: float, before_s: float = 0.0
) -> tuple[Figures, Sequence[Noted]]:
    """Let the loop meet the load in virtual time, beginning with this plan; the next ones take so long to be made.

    The loop began ``before_s`` before the load: that decides when in the load it plans.
    """
    controller = controller_of(task, answer, plan, settings, -before_s)
    failures, slowdowns = simulated_faults(load.faults)
    setting = Setting(
        power=power_of(task),
        steering=Steering(controller, Following(answer.latency), planning_s=planning_s),
        patience_s=60.0,
        device_failures=failures,
        slowdowns=slowdowns,
    )
    outcome = Simulator(plan, seed=load.seed, setting=setting).run(merged(task, load))
    figures = of_outcome(outcome)
    return msgspec.structs.replace(figures, changes=controller.changes), list(controller.decisions)


def simulate_static(task: Task, load: Load, overhead: Overhead) -> Figures:
    """Let a plan for the peak meet the load, and stay as it is."""
    peak = at(task, load.peak())
    plan = msgspec.structs.replace(to_plan(peak, plan_fleet(peak).allotment), overhead=overhead)
    failures, slowdowns = simulated_faults(load.faults)
    setting = Setting(power=power_of(task), device_failures=failures, slowdowns=slowdowns, patience_s=60.0)
    return of_outcome(Simulator(plan, seed=load.seed, setting=setting).run(merged(task, load)))


def merged(task: Task, load: Load) -> list[Arrival]:
    """The requests of all pipelines in order of time."""
    streams = load.arrivals(task.workloads).values()
    return list(heapq.merge(*streams, key=lambda arrival: arrival.at))


def of_outcome(outcome: Outcome) -> Figures:
    """The figures of a simulated run."""
    report, records = make_report(outcome), outcome.records
    total, per_answer = report.energy.total.joules, report.energy.per_answer.joules
    return Figures(
        attainment=report.attainment,
        p50_ms=report.latency_ms.p50 or 0.0,
        p99_ms=report.latency_ms.p99 or 0.0,
        goodput_rps=report.goodput_rps,
        joules=total or 0.0,
        joules_per_answer=per_answer or 0.0,
        by_pipeline={each.name: 1 - each.violations for each in report.classes},
        missed_s=tuple(records.arrivals[records.violated].tolist()),
    )


def _predicted(figures: Mapping[str, float], task: Task, load: Load) -> Figures:
    rate = sum(map(len, load.moments.values())) / load.duration_s
    joules = figures["energy.per_answer.joules"]
    planned = sum(each.rate_rps for each in task.workloads)
    return Figures(
        attainment=figures["attainment"],
        p50_ms=figures["latency_ms.p50"],
        p99_ms=figures["latency_ms.p99"],
        goodput_rps=figures["goodput_rps"] * rate / planned,
        joules=joules * figures["attainment"] * planned * load.duration_s,
        joules_per_answer=joules,
    )


async def _offer(
    url: str, folder: Path, workloads: Sequence[Workload], load: Load, read: Read
) -> tuple[list[Alone], Reading, Reading, dict[str, list[Answered]]]:
    """Send some requests alone, then every request when it is due; read the server before and after."""
    arrivals = load.arrivals(workloads)
    outcomes: dict[str, list[Answered]] = {}
    async with Client(url) as client:
        shots = {}
        for each in workloads:
            pipeline = load_pipeline(str(write_pipeline(each, folder)))
            shots[each.graph.pipeline] = make_shots(pipeline)
            await warm_up(client, pipeline.name, shots[pipeline.name][:1])
        alone = await ask_alone(client, shots)
        before = await asyncio.to_thread(read, url)
        faults = asyncio.create_task(play(load.faults, folder / "rehearsal" / "faults.json"))

        async def one(each: Workload) -> None:
            name = each.graph.pipeline
            position = {id(shape): number for number, shape in enumerate(each.graph.requests)}
            due = [(arrival.at, shots[name][position[id(arrival.shape)]]) for arrival in arrivals[name]]
            outcomes[name] = await offer(client, name, due)

        await asyncio.gather(*map(one, workloads))
        faults.cancel()
        after = await asyncio.to_thread(read, url)
    return alone, before, after, outcomes


def _live(
    workloads: Sequence[Workload], outcomes: Mapping[str, Sequence[Answered]], joules: float, changes: int
) -> Figures:
    latencies, missed = list[float](), list[float]()
    shares = {}
    for each in workloads:
        of = outcomes[each.graph.pipeline]
        late = [one.scheduled_s for one in of if not one.answered or one.latency_ms > each.slo.latency_ms]
        latencies += [one.latency_ms for one in of if one.answered]
        missed += late
        shares[each.graph.pipeline] = 1 - len(late) / max(len(of), 1)
    every = [one for of in outcomes.values() for one in of]
    in_time = len(every) - len(missed)
    p50, p99 = np.percentile(latencies, [50, 99]).tolist() if latencies else (0.0, 0.0)
    return Figures(
        attainment=in_time / len(every),
        p50_ms=p50,
        p99_ms=p99,
        goodput_rps=in_time / max(one.done_s for one in every),
        joules=joules,
        joules_per_answer=joules / max(in_time, 1),
        by_pipeline=shares,
        changes=changes,
        missed_s=tuple(sorted(missed)),
    )
