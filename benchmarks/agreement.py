"""Do server and simulator agree? The same plan, an emulated fleet of 16 unlike instances, under the same arrivals.

Takes five minutes. The server, as `heterosis serve` starts it, is a process of its own, its instances share another;
this process sends the requests, over HTTP, when they are due. Instances sleep for times of the distribution that the
simulator draws from; the draws differ. The simulator is run several times: the median counts, and the spread tells what
chance alone makes. Capacity is what all instances do together with full batches. Latencies are those of answered
requests; requests that are answered in time count for goodput.

What the simulator does not know, the gateway's own time and the way to a worker and back, some 3 ms, is small against
run times of 100 to 420 ms, and is not corrected for. Under overload it shows where a policy lets many requests end
close to their deadlines, or lets the queue grow.
"""

import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from heterosis.arrivals import poisson
from heterosis.bench import Load, run_load
from heterosis.pipeline import load_pipeline
from heterosis.serving.server import run as run_on_loop
from heterosis.simulation import RequestClass, Simulator, single_call, workload
from heterosis.terms import DYNAMIC, Plan, TensorSpec
from heterosis.testing import Kind, make_latency, make_mixed_plan, write_emulated
from heterosis.workflow.subserver import serving

POLICIES = ("heterosis", "fcfs")
LOADS = (0.5, 0.8, 1.2)
SECONDS = 30.0
SLO_MS = 1000.0
SIMULATIONS = 7
PER_ITEM_SHARE = 0.6
P95_RATIO, P99_RATIO = 1.15, 1.3  # to the median
FEATURES = 8
PIPELINE = """
from typing import Annotated
import numpy as np
import heterosis as hs

class Work:
    models = {"work": "work.onnx"}
    def before(self, values): return values
    def after(self, output, values): return output

work = hs.stage(Work)

@hs.pipeline(slo=hs.Slo(latency_ms=SLO_MS))
async def rehearse(
    values: Annotated[np.ndarray, hs.Tensor("float32", FEATURES)]
) -> Annotated[np.ndarray, hs.Tensor("float32", -1)]:
    return await work(values)

@rehearse.samples
def samples():
    return [hs.Sample({"values": np.ones(FEATURES, np.float32)})]
"""


def make_kind(base_ms: float, max_batch: int, power_w: float, instances: int = 4) -> Kind:
    """A kind of device, by the median time of one item, and what all its batches have in common."""
    medians = [base_ms * (1 + PER_ITEM_SHARE * (batch - 1)) for batch in range(1, max_batch + 1)]
    latencies = tuple(make_latency(median, P95_RATIO * median, P99_RATIO * median) for median in medians)
    return Kind(latencies=latencies, power_w=power_w, instances=instances)


FLEET = {
    "swift": make_kind(100.0, 2, 40.0),
    "roomy": make_kind(150.0, 4, 30.0),
    "frugal": make_kind(200.0, 2, 10.0),
    "tiny": make_kind(250.0, 1, 4.0),
}


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one load."""

    p50_ms: float
    p99_ms: float
    goodput_rps: float
    attainment: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One load on the server and in the simulator."""

    live: Figures
    simulated: tuple[Figures, ...]
    lag_p99_ms: float
    """How late the load generator was: more than a few milliseconds says that the machine is too busy to judge."""

    def figures(self) -> Iterator[tuple[str, float, float, float, float]]:
        """Name, live, and the simulations' median, least and most, of each figure."""
        for name in Figures.__struct_fields__:
            values = [getattr(each, name) for each in self.simulated]
            yield name, getattr(self.live, name), statistics.median(values), min(values), max(values)


def run() -> dict[str, float]:
    """Compare under each policy and load."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for policy in POLICIES:
            for load in LOADS:
                compared = compare(Path(folder), policy, load, SECONDS)
                for name, live, middle, least, most in compared.figures():
                    label = f"{policy} at {load:.0%}: {name}"
                    found |= {
                        f"{label}, live": live,
                        f"{label}, simulated": middle,
                        f"{label}, live / simulated": live / middle,
                        f"{label}, spread / simulated": (most - least) / middle,
                    }
                found[f"{policy} at {load:.0%}: load generator's lag_p99_ms"] = compared.lag_p99_ms
    return found


def compare(folder: Path, policy: str, load: float, seconds: float, simulations: int = SIMULATIONS) -> Comparison:
    """Offer a share of the fleet's capacity, for so long, to a server and to the simulator."""
    pipeline, plan = rehearsal(folder, policy)
    arrivals = poisson(load * plan.rate_rps, seconds, seed=0)
    with rehearsed(folder, plan) as url:
        report = run_on_loop(run_load(url, load_pipeline(pipeline), Load(arrivals=tuple(arrivals), duration_s=seconds)))
    assert report.latency is not None
    live = Figures(
        p50_ms=report.latency.p50_ms,
        p99_ms=report.latency.p99_ms,
        goodput_rps=report.in_time / seconds,
        attainment=report.attainment,
    )
    simulated = tuple(simulate(plan, arrivals, seconds, draw) for draw in range(simulations))
    return Comparison(live=live, simulated=simulated, lag_p99_ms=report.lag_p99_ms)


def simulate(plan: Plan, arrivals: list[float], seconds: float, seed: int) -> Figures:
    """Run the plan in the simulator."""
    requests = workload(arrivals, [RequestClass(shapes=(single_call("work"),))])
    outcome = Simulator(plan, seed=seed).run(requests)
    p50, p99 = np.percentile(np.array(outcome.latencies_s) * 1e3, [50, 99])
    return Figures(
        p50_ms=float(p50),
        p99_ms=float(p99),
        goodput_rps=outcome.attainment * outcome.requests / seconds,
        attainment=outcome.attainment,
    )


def rehearsal(folder: Path, policy: str, kinds: Mapping[str, Kind] = FLEET) -> tuple[str, Plan]:
    """Write a pipeline of one stage, its model and its emulated variants; return its file and a plan at capacity."""
    file = folder / "pipeline.py"
    file.write_text(PIPELINE.replace("SLO_MS", str(SLO_MS)).replace("FEATURES", str(FEATURES)))
    write_identity(folder / "work.onnx")
    capacity = sum(kind.instances * len(kind.latencies) / kind.latencies[-1].mean_ms * 1e3 for kind in kinds.values())
    plan = make_mixed_plan(
        "work", kinds, slo_ms=SLO_MS, rate_rps=capacity, policy=policy, pipeline="rehearse", folder=folder
    )
    tensors = [TensorSpec(name=name, dtype="float32", shape=(DYNAMIC, FEATURES)) for name in ("x", "y")]
    write_emulated(plan, tensors[:1], tensors[1:], "benchmarks/agreement.py")
    return str(file), plan


@contextmanager
def rehearsed(folder: Path, plan: Plan) -> Iterator[str]:
    """Serve the plan as anybody would; yield the URL."""
    file = folder / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    with serving(str(folder / "pipeline.py"), ["--plan", str(file), "--store", str(folder / "store")]) as url:
        yield url


def write_identity(path: Path) -> None:
    """Write the real model that the emulated ones stand for; only the tracing of the sample runs it."""
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", FEATURES]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "work", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
