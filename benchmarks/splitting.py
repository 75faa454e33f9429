"""Requests of many rows whose deadlines one instance cannot meet: whether several can, each with a part of the rows.

Two instances of a model of 0.7 milliseconds, on a core each; one client sends requests of 192 rows, 21 MB by HTTP, one
after the other. What a whole one takes is the median of some that have no deadline; deadlines are shares of that.

Then requests of 1 to 256 rows, most of them small, in an open loop, on eight emulated instances. A row takes five
milliseconds, the SLO is what 80 of them take. The simulator is given the same requests.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from math import log
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.agreement import FEATURES, write_identity
from benchmarks.peers.models import INPUT, example, make_models
from heterosis.arrivals import poisson
from heterosis.client import Client
from heterosis.pipeline.model import STAGE
from heterosis.serving.protocol import InferRequest, encode_request
from heterosis.simulation import Arrival, LogNormal, RequestClass, Simulator, single_call, workload
from heterosis.terms import DYNAMIC, Plan, TensorSpec
from heterosis.terms.errors import DeadlineError, HeterosisError
from heterosis.testing import Kind, make_latency, make_mixed_plan, write_emulated
from heterosis.workflow.subserver import serving

MODEL_MS, ROWS = 0.7, 192
RATE_RPS = 1500.0
"""So many that the plan has an instance on each of two cores."""
SHARES = (0.9, 0.75, 0.6)
WHOLE, REQUESTS = 11, 40
POLICIES = ("heterosis", "heterosis:without_splitting")

ROW_MS, INSTANCES, MAX_BATCH, SLO_MS = 5.0, 8, 32, 400.0
SIZES = LogNormal(mu=log(12.0), sigma=1.1, most=256)
MIX_RPS, MIX_SECONDS, SIMULATIONS = 30.0, 30.0, 7
LARGEST = 0.9
"""Quantile of the sizes from which on requests count as large."""


def run() -> dict[str, float]:
    """Measure, with splitting and without."""
    figures: dict[str, float] = {}
    length, parts = encode_request(InferRequest(inputs={INPUT: example(ROWS)}, binary_output=True))
    body = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        (model,) = make_models(Path(folder), (MODEL_MS,))
        for policy in POLICIES:
            store = ["--store", f"{folder}/store"]
            with serving(model.path, ["--policy", policy, "--rate", str(RATE_RPS), *store]) as url:
                found = asyncio.run(ask(url, model.name, body, length))
            figures |= {f"{policy}: {figure}": value for figure, value in found.items()}
    return figures | mix()


def mix() -> dict[str, float]:
    """Offer requests of unlike sizes to a fleet that is emulated, and to the simulator; return shares in time."""
    requests = workload(
        poisson(MIX_RPS, MIX_SECONDS, 0), [RequestClass((single_call(STAGE),), sizes=SIZES, divisible=True)]
    )
    sizes = np.array([each.size for each in requests])
    large = sizes >= np.quantile(sizes, LARGEST)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_identity(Path(folder) / "work.onnx")
        for policy in POLICIES:
            plan = rehearsal(Path(folder), policy)
            with serving(f"{folder}/work.onnx", ["--plan", f"{folder}/plan.json", "--store", f"{folder}/store"]) as url:
                live = asyncio.run(offer(url, requests))
            simulated = [simulate(plan, requests, seed) for seed in range(SIMULATIONS)]
            for kind, chosen in (("all", sizes > 0), ("the largest tenth", large)):
                figures |= {
                    f"{policy}: {kind} in time, live": float(live[chosen].mean()),
                    f"{policy}: {kind} in time, simulated": statistics.median(
                        float(each[chosen].mean()) for each in simulated
                    ),
                }
    return figures


async def ask(url: str, model: str, body: bytes, length: int | None) -> dict[str, float]:
    """Send the requests; return what a whole one took, and of those with deadlines which were in time, and how soon."""
    async with Client(url) as client:

        async def took_ms(timeout_ms: float | None = None) -> float | None:
            began = time.perf_counter()
            try:
                await client.send(model, body, length, timeout_ms=timeout_ms)
            except DeadlineError:
                return None
            return (time.perf_counter() - began) * 1e3

        times = [await took_ms() for _ in range(WHOLE)]
        whole_ms = statistics.median(each for each in times if each is not None)
        figures = {"without a deadline, median ms": whole_ms}
        for share in SHARES:
            found = [await took_ms(share * whole_ms) for _ in range(REQUESTS)]
            answered = [each for each in found if each is not None]
            figures[f"deadline of {share:g} of that: in time"] = len(answered) / REQUESTS
            figures[f"deadline of {share:g} of that: median ms"] = statistics.median(answered or [float("nan")])
    return figures


async def offer(url: str, requests: Sequence[Arrival]) -> npt.NDArray[np.bool_]:
    """Send requests when they are due; return which are answered in time."""
    async with Client(url) as client:
        begins = time.perf_counter() + 0.5

        async def send(arrival: Arrival) -> bool:
            await asyncio.sleep(begins + arrival.at - time.perf_counter())
            began = time.perf_counter()
            try:
                await client.infer("work", {"x": np.zeros((arrival.size, FEATURES), np.float32)})
            except HeterosisError:
                return False
            return (time.perf_counter() - began) * 1e3 <= SLO_MS

        return np.array(await asyncio.gather(*map(send, requests)))


def simulate(plan: Plan, requests: Sequence[Arrival], seed: int) -> npt.NDArray[np.bool_]:
    """Have the simulator serve them; return which are answered in time."""
    missed = Simulator(plan, seed=seed).run(requests).records.violated
    return ~missed


def rehearsal(folder: Path, policy: str) -> Plan:
    """Plan the fleet, and write what it takes to serve the plan."""
    times = tuple(
        make_latency(ROW_MS * rows, 1.1 * ROW_MS * rows, 1.2 * ROW_MS * rows) for rows in range(1, MAX_BATCH + 1)
    )
    kinds = {"cpu": Kind(latencies=times, power_w=10.0, instances=INSTANCES)}
    plan = make_mixed_plan(STAGE, kinds, slo_ms=SLO_MS, rate_rps=MIX_RPS, policy=policy, pipeline="work", folder=folder)
    tensors = [TensorSpec(name=name, dtype="float32", shape=(DYNAMIC, FEATURES)) for name in ("x", "y")]
    write_emulated(plan, tensors[:1], tensors[1:], "benchmarks/splitting.py")
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    return plan
