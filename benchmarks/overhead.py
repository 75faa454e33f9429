"""What serving costs on top of the engine: a pipeline of one stage, on a model of about a millisecond, over HTTP.

The bare loop calls the engine in this process with one thread. The server runs the same model, one thread, one
instance, one item a batch, behind gateway, router and transport; clients send binary tensors in a closed loop. Both are
measured in turn, several times; the medians of the ratios count. All processes share this machine's cores.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import msgspec
import numpy as np

from heterosis.client import Client
from heterosis.engines import ENGINES
from heterosis.terms import Plan
from heterosis.testing import make_plan, make_variant

TARGET_MS = 1.0
FEATURES = 1024
ROUNDS = 5
SECONDS = 2.0
CLIENTS = 4

PIPELINE = """
from typing import Annotated
import numpy as np
import heterosis as hs

class Network:
    models = {"network": "network.onnx"}
    def before(self, values): return values
    def after(self, output, values): return output

network = hs.stage(Network)

@hs.pipeline(slo=hs.Slo(latency_ms=1000))
async def classify(
    values: Annotated[np.ndarray, hs.Tensor("float32", FEATURES)]
) -> Annotated[np.ndarray, hs.Tensor("float32", -1)]:
    return await network(values)
"""


def run() -> dict[str, float]:
    """Measure, and return throughputs, latency and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        model_ms = make_model(Path(folder) / "network.onnx")
        (Path(folder) / "pipeline.py").write_text(PIPELINE.replace("FEATURES", str(FEATURES)))
        figures: dict[str, float] = {"model_ms": model_ms}
        for label, max_batch in (("single", 1), ("batched", 8)):
            rounds = []
            with serving(Path(folder), max_batch, model_ms) as url:
                asyncio.run(closed_loop(url, 0.5))
                for _ in range(ROUNDS):
                    bare = bare_loop(Path(folder) / "network.onnx", SECONDS)
                    rounds.append((bare, asyncio.run(closed_loop(url, SECONDS))))
            figures |= {
                f"{label}: bare engine loop, items/s": statistics.median(bare for bare, _ in rounds),
                f"{label}: over HTTP, {CLIENTS} clients, requests/s": statistics.median(rate for _, rate in rounds),
                f"{label}: HTTP / bare": statistics.median(rate / bare for bare, rate in rounds),
            }
    return figures


def make_model(path: Path) -> float:
    """Write a fully connected network that takes about `TARGET_MS` for one item; return the time it really takes."""
    layers = 1
    while True:
        _write_model(path, layers)
        took_ms = 1e3 / bare_loop(path, 0.3)
        if took_ms >= 0.9 * TARGET_MS:
            return took_ms
        layers = max(layers + 1, round(layers * TARGET_MS / took_ms))


def _write_model(path: Path, layers: int) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(0, FEATURES**-0.5, (FEATURES, FEATURES)).astype(np.float32), f"w{layer}")
        for layer in range(layers)
    ]
    nodes = []
    for layer in range(layers):
        nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [f"x{layer + 1}"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "network",
        [value("x0", TensorProto.FLOAT, ["N", FEATURES])],
        [value(f"x{layers}", TensorProto.FLOAT, ["N", FEATURES])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def bare_loop(path: Path, seconds: float) -> float:
    """Items per second of the engine alone."""
    session = ENGINES["onnxruntime"].load(path, 1)
    item = {"x0": np.ones((1, FEATURES), np.float32)}
    for _ in range(20):
        session.run(item)
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        session.run(item)
        count += 1
    return count / (time.perf_counter() - started)


async def closed_loop(url: str, seconds: float) -> float:
    """Requests per second that some clients get answered, each sending its next when it has the last answer."""
    values = {"values": np.ones(FEATURES, np.float32)}
    end = time.perf_counter() + seconds

    async def ask(client: Client) -> int:
        count = 0
        while time.perf_counter() < end:
            await client.infer("classify", values)
            count += 1
        return count

    async with Client(url) as client:
        started = time.perf_counter()
        counts = await asyncio.gather(*(ask(client) for _ in range(CLIENTS)))
        return sum(counts) / (time.perf_counter() - started)


@contextmanager
def serving(folder: Path, max_batch: int, model_ms: float) -> Iterator[str]:
    """Serve the pipeline in a process of its own; yield the URL."""
    plan = folder / "plan.json"
    plan.write_bytes(msgspec.json.encode(_plan(folder, max_batch, model_ms)))
    command = [sys.executable, "-m", "benchmarks.overhead", str(folder / "pipeline.py"), str(plan)]
    with Popen(command, stdout=PIPE, text=True) as process:  # noqa: S603 - this very file
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.startswith("http"))
        finally:
            process.terminate()


def _plan(folder: Path, max_batch: int, model_ms: float) -> Plan:
    """One instance on one core; the model as it is."""
    network = make_variant("network", engine="onnxruntime", artifact=str(folder / "network.onnx"))
    return make_plan(
        {"network": model_ms},
        slots=1,
        max_batch=max_batch,
        slo_ms=1000,
        variants={"network": network},
        pipeline="classify",
    )


def _serve(pipeline: str, plan: str) -> None:
    import structlog

    from heterosis.devices import local_fleet
    from heterosis.pipeline import load_pipeline
    from heterosis.profiling.meters import UtilisationMeter
    from heterosis.serving.models import Servable
    from heterosis.serving.repository import FixedSource
    from heterosis.serving.server import Options, serve
    from heterosis.serving.server import run as run_server

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    servable = Servable(
        pipeline=load_pipeline(pipeline),
        target=pipeline,
        plan=msgspec.json.decode(Path(plan).read_bytes(), type=Plan),
        warm_up=lambda *_: [[(np.ones(FEATURES, np.float32),)]],
    )
    meter = UtilisationMeter(local_fleet().devices[0], [os.getpid()])
    run_server(
        serve(
            FixedSource(servable),
            meter,
            options=Options(port=0, grpc_port=None),
            on_ready=lambda where: print(where.url, flush=True),
        )
    )


if __name__ == "__main__":
    _serve(*sys.argv[1:])
