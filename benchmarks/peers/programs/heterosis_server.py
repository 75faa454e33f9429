"""heterosis: the model file as it is, under a plan of one instance on one core."""

import os
import sys
from pathlib import Path

import numpy as np
import structlog
from engine import GRPC_PORT, MAX_BATCH, MODEL, PORT, SHAPE, THREADS
from msgspec.structs import replace

from heterosis.devices import local_fleet
from heterosis.pipeline.model import STAGE, ModelPipeline
from heterosis.profiling.meters import UtilisationMeter
from heterosis.serving.models import Servable
from heterosis.serving.quick_plan import prefetch_below_ms
from heterosis.serving.repository import FixedSource
from heterosis.serving.server import Options, run, serve
from heterosis.testing import make_plan, make_variant

MODEL_MS = float(os.environ.get("PEER_MODEL_MS", "1"))

if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    variant = make_variant(STAGE, engine="onnxruntime", artifact=MODEL)
    plan = make_plan(
        {STAGE: MODEL_MS}, slots=THREADS, max_batch=MAX_BATCH, slo_ms=2000, variants={STAGE: variant}, pipeline="net"
    )
    below_ms = prefetch_below_ms(MODEL_MS * MAX_BATCH)
    placements = tuple(replace(each, prefetch_below_ms=below_ms) for each in plan.placements)
    meter = UtilisationMeter(local_fleet().devices[0], [os.getpid()])
    servable = Servable(
        pipeline=ModelPipeline(Path(MODEL), "net", batched=True),
        target=MODEL,
        plan=replace(plan, placements=placements),  # as `heterosis serve` places a model alone
        warm_up=lambda *_: [[({"x": np.ones((1, *SHAPE), np.float32)},)]],
    )
    run(serve(FixedSource(servable), meter, options=Options(port=PORT, grpc_port=GRPC_PORT)))
