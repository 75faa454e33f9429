"""Does the loop pay on one machine? The OCR example, real models, pages and clients: a day with a surge in ten minutes.

Takes 12 minutes, of which 10 are live, and the first time some more: variants are made and profiled into the store that
`heterosis demo` has, too. The loop, which begins with a plan for the mean, serves the arrivals live, and simulated; a
plan for their peak that nothing changes meets the same in the simulator. So what the loop saves is told by one ruler,
and how true that ruler is by the live run beside the simulated one. The machine must have nothing else to do.

Joules are the server's meter's, idle power of the machine included: modelled from CPU time where no meter of the
hardware can be read. A machine of one device idles under any plan, so what a plan can save is bounded: by the least
energy that the profile has for a request at all, at the SLO's accuracy and in whatever time.
"""

import asyncio
import math

import msgspec
import numpy as np
from msgspec.structs import replace

from heterosis.arrivals import surges
from heterosis.bench import Load, Outcome, Report, run_load
from heterosis.bench.shots import accuracy_of, in_turn
from heterosis.cli.options import DEFAULT_STORE
from heterosis.cli.rehearse import read
from heterosis.control import Controller, Settings, Steering
from heterosis.control.power import Power
from heterosis.planning.fleet import Limits, allot
from heterosis.planning.fleet.allotment import dynamic_w
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.profiling import Settings as ProfilingSettings
from heterosis.simulation import Arrival, Setting, Simulator
from heterosis.terms import Plan
from heterosis.terms.joining import qualified
from heterosis.workflow.chain import Workflow
from heterosis.workflow.looping import LoopedService
from heterosis.workflow.rehearsal.running import Figures, Reading, of_outcome
from heterosis.workflow.replanning.answering import judged
from heterosis.workflow.replanning.following import Following
from heterosis.workflow.subserver import serving

PIPELINE = "examples/ocr/pipeline.py"
BUDGET_S = 120.0
"""For profiling, as in the demo."""
SETTINGS = Settings(plan_every_s=20.0, horizon_s=60.0)
PEAK_S, MINUTE_S = 10.0, 60.0
LITTLE_RPS = 0.01


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A load as it was served."""

    report: Report
    accuracies: tuple[float, ...]
    """Of the answers of each minute."""
    told: Reading

    @property
    def joules(self) -> float:
        """Of the whole run."""
        energy = self.report.idle_energy_per_answer + self.report.dynamic_energy_per_answer
        assert energy.joules is not None
        return energy.joules * self.report.answered


def run(duration_s: float = 600.0, rate: float = 2.0, seed: int = 2) -> dict[str, float]:
    """Serve by the loop; simulate that, and the plan for the peak."""
    workflow = Workflow(PIPELINE, DEFAULT_STORE, settings=ProfilingSettings(budget_s=BUDGET_S))
    load = Load(arrivals=tuple(surges(rate, duration_s, seed)), duration_s=duration_s, seed=seed)
    service = LoopedService(workflow, rate, SETTINGS)
    peak = workflow.plan(peak_rps(load))
    adapt = ["--rate", f"{rate}", "--adapt", "--every", f"{SETTINGS.plan_every_s}"]
    adaptive = served(workflow, load, [*adapt, "--horizon", f"{SETTINGS.horizon_s}"])
    return rows(service, load, adaptive, simulate(service, load), simulate_static(service, peak, load))


def peak_rps(load: Load) -> float:
    """Most requests per second in any `PEAK_S`."""
    moments = np.asarray(load.arrivals)
    return float((np.searchsorted(moments, moments + PEAK_S) - np.arange(len(moments))).max()) / PEAK_S


def served(workflow: Workflow, load: Load, options: list[str]) -> Served:
    """Offer the load to a server of its own."""
    outcomes: list[Outcome] = []
    options = [*options, "--budget", "1", "--store", str(workflow.store)]  # all is profiled already
    with serving(workflow.target, options) as url:
        report = asyncio.run(run_load(url, workflow.pipeline, load, progress=outcomes.append))
        told = read(url)
    minutes: list[list[Outcome]] = [[] for _ in range(math.ceil(load.duration_s / MINUTE_S))]
    for each in outcomes:
        minutes[int(each.scheduled_s / MINUTE_S)].append(each)
    truths = [sample.truth for sample in workflow.pipeline.load_samples()]
    found = []
    for minute in minutes:
        answers = [(each.sample, each.outputs) for each in minute if each.outputs is not None]
        accuracy, _ = accuracy_of(workflow.pipeline, answers, truths)
        found += [] if accuracy is None else [accuracy]
    return Served(report=report, accuracies=tuple(found), told=told)


def simulate(service: LoopedService, load: Load) -> Figures:
    """Let the loop meet the very arrivals, with the very pages, in virtual time."""
    settings = replace(SETTINGS, accuracies=service.accuracies, latency=service.answer.latency)
    controller = Controller(service.task, service.plan, service.answer.allotment, settings=settings)
    following = Following(service.answer.latency)
    steering = Steering(controller, lambda task: following(judged(task, service.accuracies)))
    setting = Setting(power=Power(fleet=service.workflow.fleet), steering=steering, patience_s=60.0)
    figures = of_outcome(Simulator(service.plan, seed=load.seed, setting=setting).run(arrivals_of(service, load)))
    return replace(figures, changes=controller.changes)


def simulate_static(service: LoopedService, plan: Plan, load: Load) -> tuple[Figures, float]:
    """Let a plan that nothing changes meet the same; give its joules of idling, too."""
    setting = Setting(power=Power(fleet=service.workflow.fleet), patience_s=60.0)
    plan = qualified(plan, service.workflow.pipeline.name)
    outcome = Simulator(plan, seed=load.seed, setting=setting).run(arrivals_of(service, load))
    idle = outcome.joules.idle.joules
    assert idle is not None
    return of_outcome(outcome), idle


def arrivals_of(service: LoopedService, load: Load) -> list[Arrival]:
    """The very arrivals, with the very pages."""
    graph = service.task.workloads[0].graph
    pages = in_turn(graph.requests, load.seed)
    return [Arrival(at, shape, pipeline=graph.pipeline) for at, shape in zip(load.arrivals, pages, strict=False)]


def least_j(service: LoopedService) -> float:
    """Dynamic joules of a request by the plan that takes least of them, in whatever time."""
    name = service.workflow.pipeline.name
    task = at_rates(judged(service.task, service.accuracies), {name: LITTLE_RPS})
    answer = allot(task, limits=Limits(latency=math.inf))
    assert answer is not None
    watts = dynamic_w(answer.allotment)
    assert watts is not None
    return watts / LITTLE_RPS


def rows(
    service: LoopedService, load: Load, adaptive: Served, simulated: Figures, peak: tuple[Figures, float]
) -> dict[str, float]:
    """Every figure by how it was had."""
    static, static_idle_j = peak
    least = static_idle_j + least_j(service) * len(load.arrivals)
    report, idle = adaptive.report, adaptive.report.idle_energy_per_answer.joules
    assert report.latency is not None
    assert idle is not None
    idle_j = idle * report.answered
    live = {
        "attainment": report.attainment,
        "p50_ms": report.latency.p50_ms,
        "p99_ms": report.latency.p99_ms,
        "goodput_rps": report.goodput_rps,
        "joules": adaptive.joules,
    }
    found: dict[str, float] = {"requests": len(load.arrivals), "peak of the load, 1/s": peak_rps(load)}
    for name, value in live.items():
        foretold = float(getattr(simulated, name))
        found |= {
            f"{name}, live": value,
            f"{name}, simulated": foretold,
            f"{name}, live / simulated": value / foretold,
            f"{name}, peak plan simulated": float(getattr(static, name)),
        }
    return found | {
        "joules live, of that idle": idle_j,
        "joules, simulated / peak plan simulated": simulated.joules / static.joules,
        "joules, least by any plan / peak plan simulated": least / static.joules,
        "accuracy of the worst minute": min(adaptive.accuracies),
        "requests lost": float(sum(each.count for each in report.failures if each.status == 0)),
        "lag_p99_ms of the load generator": report.lag_p99_ms,
        "changes of plan": float(adaptive.told.changes),
        "decisions on speeds": float(sum("speed: " in what for _, what in adaptive.told.decisions)),
        "event loop held up at most, ms": adaptive.told.longest_stall_ms or 0.0,
        "of that by the server itself, ms": adaptive.told.longest_own_stall_ms or 0.0,
    }
