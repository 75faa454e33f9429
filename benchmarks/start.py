"""From nothing to ready, and what is resident then: `heterosis serve` on a small plain model, with gRPC and without.

The model adds and subtracts two rows of numbers. Each start is with a store of its own, so the look at the model is
part of it. Memory is the sum over all processes, pages that they share counted for each.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from benchmarks.peers.server import free_port

STARTS = 5
PATIENCE_S = 60.0
SETTLE_S = 1.0


def run() -> dict[str, float]:
    """Start some times; return medians."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "simple.onnx"
        write_model(model)
        for label, options in (("with gRPC", ("--grpc-port", "0")), ("without gRPC", ("--grpc-port", "none"))):
            found = [start(model, Path(folder) / f"{label}{number}", options) for number in range(STARTS)]
            names = ("seconds to ready", "CPU seconds to ready", "resident MB")
            for name, column in zip(names, zip(*found, strict=True), strict=True):
                figures[f"{label}: {name}"] = statistics.median(column)
    return figures


def start(model: Path, store: Path, options: tuple[str, ...]) -> tuple[float, float, float]:
    """Start a server and end it; seconds, CPU seconds, and megabytes of all its processes."""
    port = free_port()
    command = [sys.executable, "-m", "heterosis.cli", "serve", str(model), "--port", str(port), "--store", str(store)]
    began = time.monotonic()
    with subprocess.Popen([*command, "--quiet", *options]) as server:  # noqa: S603 - ourselves
        while not ready(port) and time.monotonic() < began + PATIENCE_S:
            time.sleep(0.01)
        took_s = time.monotonic() - began
        root = psutil.Process(server.pid)
        family = (root, *root.children(recursive=True))
        # The look at the model was a child, too, which has ended.
        cpu_s = sum(root.cpu_times()[:4]) + sum(sum(each.cpu_times()[:2]) for each in family[1:])
        time.sleep(SETTLE_S)
        resident = sum(each.memory_info().rss for each in family)
        server.terminate()
    return took_s, cpu_s, resident / 1e6


def ready(port: int) -> bool:
    """Whether the server says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def write_model(path: Path) -> None:
    """Write the model."""
    import onnx
    from onnx import TensorProto, helper

    def rows(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.INT32, ["N", 16])

    inputs = ["INPUT0", "INPUT1"]
    nodes = [helper.make_node("Add", inputs, ["OUTPUT0"]), helper.make_node("Sub", inputs, ["OUTPUT1"])]
    graph = helper.make_graph(nodes, "simple", [*map(rows, inputs)], [rows("OUTPUT0"), rows("OUTPUT1")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
