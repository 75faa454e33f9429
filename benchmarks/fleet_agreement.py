"""Does a fleet do what its plan foretold? Predicted against simulated against served live.

Takes eight minutes. A published pipeline is planned for a published fleet as `heterosis plan traffic --fleet edge-rack`
does it; what the server itself adds to a request is measured first, and planned for. The plan is served by the real
server, as `heterosis serve` starts it: HTTP, gateway, scheduling core, transport. Only the devices are emulated: their
instances, all in one process, sleep for times of the distributions that the simulator draws from. How many objects a
frame has comes with the request, and decides how many calls are made.

- *Modelled* are the planner's own figures, its latency at the SLO's percentile and its power by its rate.
- *Predicted* is what was found when the plan was tried in the simulator, under arrivals of its own.
- *Simulated* is the simulator under the very arrivals, with the very objects, of the live run; only run times differ.
- *Live* counts latency from when a request was due, at the client.

Live joules are modelled: there is no device to measure. Each batch in the server's journal draws the power of its
operating point for as long as its instance said that it ran, and every device that is on draws its idle power until the
last answer: the simulator's own account. Joules are those per request answered in time.
"""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.agreement import FEATURES, write_identity
from benchmarks.comparing import Compared, Figures, of_simulator, rows
from heterosis.arrivals import poisson
from heterosis.bench import make_shots, offer
from heterosis.bench.load import warm_up
from heterosis.catalogue import open_fleet, open_pipeline
from heterosis.client import Client
from heterosis.control import Account, Telemetry
from heterosis.control.energy import NOTHING
from heterosis.pipeline import load_pipeline
from heterosis.planning.fleet import Task, Workload, allot, to_plan
from heterosis.scheduling import Record
from heterosis.serving.journal import read_journal
from heterosis.serving.server import run as run_on_loop
from heterosis.simulation import Setting, Simulator, workload
from heterosis.simulation.workload import Arrival
from heterosis.terms import DYNAMIC, Overhead, PipelineGraph, Plan, TensorSpec
from heterosis.terms.joining import qualified
from heterosis.testing import as_emulated, write_emulated
from heterosis.workflow.fleets import expected, plan_fleet, steady
from heterosis.workflow.overhead import measure
from heterosis.workflow.rehearsal.emulation import write_pipeline
from heterosis.workflow.subserver import serving

PIPELINE, FLEET = "traffic", "edge-rack"
RATES = (10.0, 30.0)
REQUESTS, RUNS = 1000, 3
"""Of each live run, ten of them slower than the 99th percentile; and runs at each rate."""
SIMULATIONS = 5
"""Of each live run; and runs of a prediction."""
OVERHEAD_S = 10.0
"""For measuring what the server adds to a request."""
FIRST_SEED = 100
"""Of live runs: no seed that the plan was tried with."""

REPORTED = {
    "p50_ms": "latency_ms.p50",
    "p99_ms": "latency_ms.p99",
    "goodput_rps": "goodput_rps",
    "attainment": "attainment",
    "joules_per_answer": "energy.per_answer.joules",
}
"""Each figure, with its name in a report of the simulator."""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """A load that was offered to the server, and what came of it: seconds on the journal's clock, milliseconds."""

    arrivals: tuple[Arrival, ...]
    begin_s: float
    end_s: float
    latencies_ms: tuple[float, ...]
    """Of answers."""
    lag_p99_ms: float
    """How late the load generator was: more than a few milliseconds says that the machine is too busy to judge."""


def run() -> dict[str, float]:
    """Compare at each rate."""
    found: dict[str, float] = {}
    for rate in RATES:
        with tempfile.TemporaryDirectory() as folder:
            compared = compare(Path(folder), rate)
        found |= {f"{rate:g}/s: {name}": value for name, value in rows(compared).items()}
    return found


def compare(folder: Path, rate: float, *, requests: int = REQUESTS, runs: int = RUNS) -> Compared:
    """Plan for a rate, predict, serve, and simulate what was served."""
    task = fleet_task(rate)
    task = msgspec.structs.replace(task, overhead=overhead(folder / "alone", task))
    allotment = plan_fleet(task).allotment
    foretold = expected(task, allotment, SIMULATIONS)
    plan = as_emulated(to_plan(task, allotment), folder)
    setting = steady(plan, task)
    loads, records = serve(folder, plan, task.workloads[0], requests, range(FIRST_SEED, FIRST_SEED + runs))
    hosted = qualified(plan, plan.pipeline)  # what the server makes of it
    joules = plan.predicted.power.joules
    assert joules is not None
    return Compared(
        modelled={"p99_ms": plan.predicted.latency_ms, "joules_per_answer": joules / rate},
        predicted=[{name: foretold[path].mean for name, path in REPORTED.items()}],
        simulated=[
            of_simulator(Simulator(plan, seed=seed, setting=setting).run(load.arrivals))
            for load in loads
            for seed in range(SIMULATIONS)
        ],
        live=[of_server(load, plan, spent_j(hosted, setting, records, load.begin_s, load.end_s)) for load in loads],
        lag_p99_ms=max(load.lag_p99_ms for load in loads),
    )


def overhead(folder: Path, task: Task) -> Overhead:
    """What the server adds to each request, measured on any plan."""
    folder.mkdir()
    answer = allot(task)
    assert answer is not None
    plan = as_emulated(to_plan(task, answer.allotment), folder)
    target = write(folder, plan, task.workloads[0])
    device, store = task.fleet.devices[0], folder / "store"
    return measure(load_pipeline(str(target)), str(target), device, store, OVERHEAD_S, plan).apart


def fleet_task(rate: float) -> Task:
    """What is planned."""
    fleet, known = open_fleet(FLEET), open_pipeline(PIPELINE)
    served = Workload(
        graph=known.graph, slo=known.slo, rate_rps=rate, variants=known.variants, profile=known.profile(fleet)
    )
    return Task(workloads=(served,), fleet=fleet)


def of_server(load: Live, plan: Plan, joules: float) -> Figures:
    """The figures of a live run that took so many joules."""
    p50, p99 = np.percentile(load.latencies_ms, [50, 99]).tolist()
    in_time = sum(latency <= plan.slo.latency_ms for latency in load.latencies_ms)
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "goodput_rps": in_time / (load.end_s - load.begin_s),
        "attainment": in_time / len(load.arrivals),
        "joules_per_answer": joules / in_time,
    }


def spent_j(plan: Plan, setting: Setting, records: Iterable[Record], begin_s: float, end_s: float) -> float:
    """Joules of the plan's devices between two moments of a server's journal."""
    assert setting.power is not None
    account, telemetry = Account(setting.power, plan.points), Telemetry()
    before = NOTHING
    begun = False
    for record in records:
        if record.at > end_s:
            break
        if record.at > begin_s and not begun:
            before, begun = account.joules(begin_s).total, True
        account.observe(record, telemetry.observe(record))
    joules = (account.joules(end_s).total - before).joules
    assert joules is not None
    return joules


def serve(
    folder: Path, plan: Plan, served: Workload, requests: int, seeds: Iterable[int]
) -> tuple[list[Live], list[Record]]:
    """Serve a plan of emulated instances, offer a load with each seed, and return these and the journal."""
    target, file, journal = write(folder, plan, served), folder / "plan.json", folder / "journal"
    file.write_bytes(msgspec.json.encode(plan))
    options = ["--plan", str(file), "--store", str(folder / "store"), "--journal", str(journal)]
    with serving(str(target), options) as url:
        loads = [run_on_loop(_offer(url, str(target), plan, served.graph, requests, seed)) for seed in seeds]
    return loads, list(read_journal(journal))


def write(folder: Path, plan: Plan, served: Workload) -> Path:
    """Write a pipeline and the emulated models of a plan; return the pipeline's file."""
    write_identity(folder / "emulated.onnx")
    tensors = [TensorSpec(name=name, dtype="float32", shape=(DYNAMIC, FEATURES)) for name in ("x", "y")]
    write_emulated(plan, tensors[:1], tensors[1:], "heterosis.catalogue")
    return write_pipeline(served, folder)


async def _offer(url: str, target: str, plan: Plan, graph: PipelineGraph, requests: int, seed: int) -> Live:
    pipeline = load_pipeline(target)
    shots = make_shots(pipeline)
    arrivals = workload(poisson(plan.rate_rps, requests / plan.rate_rps, seed), graph, seed=seed)
    position = {id(shape): number for number, shape in enumerate(graph.requests)}
    load = [(arrival.at, shots[position[id(arrival.shape)]]) for arrival in arrivals]
    async with Client(url) as client:
        await warm_up(client, pipeline.name, shots[:1])
        begin_s = time.monotonic()
        outcomes = await offer(client, pipeline.name, load)
    return Live(
        arrivals=tuple(arrivals),
        begin_s=begin_s,
        end_s=begin_s + max(outcome.done_s for outcome in outcomes),
        latencies_ms=tuple(outcome.latency_ms for outcome in outcomes if outcome.answered),
        lag_p99_ms=float(np.percentile([outcome.lag_ms for outcome in outcomes], 99)),
    )
