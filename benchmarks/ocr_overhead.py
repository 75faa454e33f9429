"""What serving adds to the stages of a real pipeline: the OCR example, its samples one after the other over HTTP.

The stages alone are the same function, called in this process with the same models and one thread: hooks and engine, no
server. The server runs an instance of each stage, one thread, one item a batch; what its gateway and router take is the
CPU time of their process, and what transport and workers add is the rest. Both are measured by turns, and the medians
of the rounds count.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from benchmarks.peers.cpu import tree_cpu_seconds
from heterosis.bench.shots import Shot, make_shots
from heterosis.client import Client
from heterosis.pipeline import LocalCaller, Pipeline, Stage, calls_run_by, load_pipeline
from heterosis.pipeline.opening import open_runner
from heterosis.terms import Plan, Variant
from heterosis.testing import make_plan, make_variant
from heterosis.workflow.subserver import subserver

EXAMPLE = Path(__file__).parents[1] / "examples" / "ocr" / "pipeline.py"
ROUNDS = 5
MOST_SAMPLES = 12
GUESS_MS = 50.0
"""Of a stage, for the scheduler; with one request at a time it decides nothing."""


def run() -> dict[str, float]:
    """Measure; milliseconds of CPU time per request."""
    pipeline = load_pipeline(EXAMPLE)
    shots = make_shots(pipeline)[:MOST_SAMPLES]
    variants = {stage.name: reference(stage) for stage in pipeline.stages}
    runners = {stage.name: open_runner(stage, variants[stage.name], 1) for stage in pipeline.stages}
    caller = LocalCaller(runners)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_bytes(msgspec.json.encode(plan_of(pipeline, variants)))
        with subserver(str(EXAMPLE), ["--plan", str(plan), "--store", folder]) as server:
            asyncio.run(ask(server.url, pipeline, shots))
            asyncio.run(call(caller, pipeline, len(shots)))
            for _ in range(ROUNDS):
                began = time.process_time()
                asyncio.run(call(caller, pipeline, len(shots)))
                alone = time.process_time() - began
                front, whole = cpu_s(server.pid), tree_cpu_seconds(server.pid)
                asyncio.run(ask(server.url, pipeline, shots))
                front, whole = cpu_s(server.pid) - front, tree_cpu_seconds(server.pid) - whole
                rounds.append([each * 1e3 / len(shots) for each in (alone, front, whole - front)])
    caller.close()
    alone_ms, front_ms, workers_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "stages alone, ms": alone_ms,
        "gateway and router, ms": front_ms,
        "workers, ms": workers_ms,
        "gateway and router, of the stages": front_ms / alone_ms,
        "all that serving adds, of the stages": statistics.median((f + w) / a for a, f, w in rounds) - 1,
    }


def reference(stage: Stage) -> Variant:
    """A stage's reference model as it is."""
    model = next(iter(stage.models))
    return make_variant(stage.name, model=model, engine="onnxruntime", artifact=str(stage.artifact(model)))


def plan_of(pipeline: Pipeline, variants: dict[str, Variant]) -> Plan:
    """An instance of each stage, all on one core."""
    times_ms = dict.fromkeys(variants, GUESS_MS)
    return make_plan(times_ms, slots=1, max_batch=1, slo_ms=60_000, variants=variants, pipeline=pipeline.name)


async def ask(url: str, pipeline: Pipeline, shots: Sequence[Shot]) -> None:
    """Send each sample once, as it travels over HTTP."""
    async with Client(url) as client:
        for shot in shots:
            await client.send(pipeline.name, shot.body, shot.header_length, timeout_ms=60_000.0)


async def call(caller: LocalCaller, pipeline: Pipeline, count: int) -> None:
    """Decode as many samples as the gateway would, and call the function on each."""
    for sample in pipeline.load_samples()[:count]:
        values: dict[str, Any] = pipeline.signature.load(sample.inputs)
        with calls_run_by(caller):
            await pipeline.function(**values)
        caller.forget()


def cpu_s(pid: int) -> float:
    """CPU seconds of one process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
