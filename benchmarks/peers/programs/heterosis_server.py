"""heterosis: the model file as it is, under the plan that ``heterosis serve`` makes of a model alone, on one core."""

import os
import sys
from pathlib import Path

import structlog
from engine import GRPC_PORT, MAX_BATCH, MODEL, PORT, SHAPE, THREADS, WIDTH

from heterosis.devices import local_fleet
from heterosis.pipeline.model import ModelPipeline
from heterosis.pipeline.probing import Point, Probed
from heterosis.profiling.meters import UtilisationMeter
from heterosis.serving.models import Servable
from heterosis.serving.quick_plan import quick_plan, warm_up
from heterosis.serving.repository import FixedSource
from heterosis.serving.server import Options, run, serve
from heterosis.terms import Latency, Slo, TensorSpec

NAME = "net"
MODEL_MS = float(os.environ.get("PEER_MODEL_MS", "1"))


def point(batch: int) -> Point:
    """What a batch takes; its items cost about the same alone."""
    ms = MODEL_MS * batch
    return Point(batch=batch, latency=Latency(mean_ms=ms, p50_ms=ms, p95_ms=ms, p99_ms=ms), cpu_ms=ms)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    path, fleet = Path(MODEL), local_fleet()
    found = Probed(
        inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, *SHAPE)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(-1, WIDTH)),),
        threads=THREADS,
        points=tuple(point(batch) for batch in sorted({1, MAX_BATCH})),
        batched=True,
    )
    plan = quick_plan(
        NAME,
        path,
        found,
        node=fleet.nodes[0].name,
        device=fleet.devices[0],
        first_core=0,
        rate_rps=1.0,
        slo=Slo(latency_ms=2000),
        policy="heterosis",
    )
    servable = Servable(
        pipeline=ModelPipeline(path, NAME, (found.inputs, found.outputs), slo=plan.slo, batched=True),
        target=MODEL,
        plan=plan,
        warm_up=lambda placement, _: warm_up(found, placement.max_batch),
    )
    meter = UtilisationMeter(fleet.devices[0], [os.getpid()])
    run(serve(FixedSource(servable), meter, options=Options(port=PORT, grpc_port=GRPC_PORT)))
