"""Does a real pipeline do what its plan foretold? The OCR example: predicted against simulated against served live.

Takes eight minutes, of which seven are live; the first time some more, since variants are made and profiled, into the
store that `heterosis demo` has, too. The machine must have nothing else to do: `others, cores busy` says if it had.

- *Modelled* are the planner's own figures.
- *Predicted* is the plan's trial in the simulator, by which it was taken: arrivals of its own.
- *Simulated* is the simulator under the very arrivals, with the very pages, of the live run; only run times differ.
- *As many, simulated* says where the 99th percentile of as many requests lies 9 times of 10, whatever they are: what is
  predicted can come no closer than that.
- *Live* is the real server, with real models, pages and HTTP clients on the same machine. Latency counts from when a
  request was due, at the client; joules are those of the server's meter, which sees all of its processes.

Joules are those per request answered in time, with idle power and without; modelled from CPU time where no meter of the
hardware can be read.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil

from benchmarks.comparing import Compared, Figures, of_simulator, rows, tail
from heterosis.arrivals import poisson, rescaled
from heterosis.bench import Load, Outcome, Report, run_load
from heterosis.bench.shots import in_turn
from heterosis.cli.options import DEFAULT_STORE
from heterosis.profiling import Settings
from heterosis.profiling.interference import crowding
from heterosis.simulation import Arrival, Power, Setting, Simulator
from heterosis.simulation import Outcome as Simulated
from heterosis.terms import PipelineGraph, Plan
from heterosis.workflow.chain import Workflow
from heterosis.workflow.subserver import serving
from heterosis.workflow.verification import trials

PIPELINE = "examples/ocr/pipeline.py"
BUDGET_S = 120.0
"""For profiling, as in the demo."""
RATES = (2.5, 6.0)
"""The demo's load, and one under which cores are busy half of the time."""
SECONDS, RUNS = 70.0, 3
"""Of each live run, and runs at each rate."""
SIMULATIONS = 5
"""Of each live run."""
FIRST_SEED = 100
"""Of live runs: no seed that the plan was tried with."""
CHANCE_SEED, SAMPLES = 1000, 20
"""To see how much is chance: the first seed, and how many times as many requests are simulated."""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """A load that was offered to the server, and what came of it."""

    load: Load
    report: Report
    latencies_ms: tuple[float, ...]
    """Of answers."""
    others_cores: float
    """Mean number of cores that neither the server nor the load generator kept busy."""


def run() -> dict[str, float]:
    """Compare at each rate."""
    workflow = Workflow(PIPELINE, DEFAULT_STORE, settings=Settings(budget_s=BUDGET_S))
    found: dict[str, float] = {}
    for rate in RATES:
        found |= {f"{rate:g}/s: {name}": value for name, value in compare(workflow, rate).items()}
    return found


def compare(workflow: Workflow, rate: float, *, seconds: float = SECONDS, runs: int = RUNS) -> dict[str, float]:
    """Plan for a rate, predict, serve, and simulate what was served."""
    plan, snapshot = workflow.plan(rate), workflow.snapshot(rate)
    graph = snapshot.graph
    setting = Setting(power=Power(fleet=workflow.fleet))
    lives = serve(workflow, plan, rate, seconds, range(FIRST_SEED, FIRST_SEED + runs))
    dynamic, power = plan.predicted.dynamic_energy_per_request.joules, plan.predicted.power.joules
    assert dynamic is not None
    assert power is not None
    runs_again = [
        Simulator(plan, seed=seed, setting=setting).run(arrivals(graph, live.load))
        for live in lives
        for seed in range(SIMULATIONS)
    ]
    compared = Compared(
        modelled={"joules_per_answer": power / rate, "dynamic_joules_per_answer": dynamic},
        predicted=[simulated(each) for each in trials(plan, graph, crowding(snapshot.profile.interference), setting)],
        simulated=[simulated(each) for each in runs_again],
        live=[served(live.report) for live in lives],
        lag_p99_ms=max(live.report.lag_p99_ms for live in lives),
    )
    return {
        **rows(compared),
        **tail(
            [each for live in lives for each in live.latencies_ms],
            [1e3 * each for run in runs_again for each in run.latencies_s],
        ),
        **by_chance(plan, graph, rate, seconds, runs),
        "others, cores busy": max(live.others_cores for live in lives),
    }


def by_chance(plan: Plan, graph: PipelineGraph, rate: float, seconds: float, runs: int) -> dict[str, float]:
    """Where the 99th percentile of so many requests lies 9 times of 10, since some arrivals are worse than others."""
    found = []
    for first in range(CHANCE_SEED, CHANCE_SEED + runs * SAMPLES, runs):
        latencies_s: list[float] = []
        for seed in range(first, first + runs):
            load = _load(rate, seconds, seed)
            latencies_s += Simulator(plan, seed=seed).run(arrivals(graph, load)).latencies_s
        found.append(1e3 * float(np.percentile(latencies_s, 99)))
    low, high = np.percentile(found, [5, 95]).tolist()
    return {"p99_ms of as many, simulated, low": low, "p99_ms of as many, simulated, high": high}


def simulated(outcome: Simulated) -> Figures:
    """The figures of a simulated run."""
    dynamic = outcome.joules.dynamic.joules
    assert dynamic is not None
    return {**of_simulator(outcome), "dynamic_joules_per_answer": dynamic / (outcome.attainment * outcome.requests)}


def served(report: Report) -> Figures:
    """The figures of a live run."""
    assert report.latency is not None
    idle, dynamic = report.idle_energy_per_answer.joules, report.dynamic_energy_per_answer.joules
    assert idle is not None
    assert dynamic is not None
    in_time = report.answered / report.in_time
    return {
        "p50_ms": report.latency.p50_ms,
        "p99_ms": report.latency.p99_ms,
        "goodput_rps": report.goodput_rps,
        "attainment": report.attainment,
        "joules_per_answer": in_time * (idle + dynamic),
        "dynamic_joules_per_answer": in_time * dynamic,
    }


def arrivals(graph: PipelineGraph, load: Load) -> list[Arrival]:
    """The requests of a load, as the simulator takes them."""
    samples = in_turn(graph.requests, load.seed)
    return [Arrival(at, shape) for at, shape in zip(load.arrivals, samples, strict=False)]


def serve(workflow: Workflow, plan: Plan, rate: float, seconds: float, seeds: Sequence[int]) -> list[Live]:
    """Serve a plan, and offer a load with each seed."""
    file = Path(workflow.store) / "plan-agreement.json"
    file.write_bytes(msgspec.json.encode(plan))
    with serving(workflow.target, ["--plan", str(file), "--store", str(workflow.store)]) as url:
        return [_offered(url, workflow, rate, seconds, seed) for seed in seeds]


def _offered(url: str, workflow: Workflow, rate: float, seconds: float, seed: int) -> Live:
    load = _load(rate, seconds, seed)
    begin, busy_s, own_s = time.monotonic(), _busy_s(), time.process_time()
    outcomes: list[Outcome] = []
    report = asyncio.run(run_load(url, workflow.pipeline, load, progress=outcomes.append))
    own_s = time.process_time() - own_s
    others_s = _busy_s() - busy_s - own_s - (report.cpu_s_per_answer or 0.0) * report.answered
    return Live(
        load=load,
        report=report,
        latencies_ms=tuple(each.latency_ms for each in outcomes if each.answered),
        others_cores=others_s / (time.monotonic() - begin),
    )


def _load(rate: float, seconds: float, seed: int) -> Load:
    return Load(arrivals=tuple(rescaled(poisson(rate, seconds, seed), rate)), duration_s=seconds, seed=seed)


def _busy_s() -> float:
    """CPU seconds of the whole machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
