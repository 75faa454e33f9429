"""Traces in the store: a pipeline's samples are run once, until the pipeline, its models or its samples change."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heterosis.pipeline import Pipeline, Trace, trace
from heterosis.profiling.files import write_atomically
from heterosis.serving.values import DecodeError, EncodeError, decode, encode
from heterosis.terms import PipelineGraph
from heterosis.terms.errors import UsageError
from heterosis.variants.digests import digest, source_digest, versions
from heterosis.variants.sources import read_source
from heterosis.workflow.blame import user_code

FORMAT = "trace 2"
"""Changes whenever the file of a trace does."""


def stored_trace(pipeline: Pipeline, folder: Path, progress: Callable[[], object] = lambda: None) -> Trace:
    """Return the trace of a pipeline on all its samples, from ``folder`` where it is there, else made and put there.

    Raise UsageError where the pipeline has no samples, or calls a stage with what cannot travel to a worker.
    """
    path = folder / f"{pipeline.name}-{_digest(pipeline)[:16]}.trace"
    found = _load(path)
    if found is None:
        with user_code(f"pipeline {pipeline.name!r} failed on a sample"):
            found = _weighed(asyncio.run(trace(pipeline, pipeline.load_samples(), progress=progress)))
        write_atomically(path, [msgspec.msgpack.encode(packed(found))])
        for old in set(folder.glob(f"{pipeline.name}-*.trace")) - {path}:
            old.unlink(missing_ok=True)
    return found


def _weighed(made: Trace) -> Trace:
    """Add what the calls weigh on their way to another process."""
    weights = {
        stage: sum(memoryview(part).nbytes for args in calls for part in _encoded(made, args)) / len(calls)
        for stage, calls in made.inputs.items()
    }
    return msgspec.structs.replace(made, graph=msgspec.structs.replace(made.graph, input_bytes=weights))


def packed(made: Trace) -> list[bytes | memoryview]:
    """Return a trace as bytes. Raise UsageError where a stage is called with what cannot travel to its process."""
    return _encoded(made, {"graph": msgspec.to_builtins(made.graph), "inputs": made.inputs, "results": made.results})


def _encoded(made: Trace, content: Any) -> list[bytes | memoryview]:
    try:
        return encode(content)
    except EncodeError as error:
        raise UsageError(
            f"pipeline {made.graph.pipeline!r} passes on what cannot travel between its stages, which run in processes "
            f"of their own: {error}"
        ) from None


def _load(path: Path) -> Trace | None:
    """Read a trace; None where there is none, or where the file is damaged."""
    try:
        frames = msgspec.msgpack.decode(path.read_bytes(), type=list[bytes])
        content = decode(frames)
        graph = msgspec.convert(content["graph"], PipelineGraph)
        inputs = {stage: [tuple(args) for args in calls] for stage, calls in content["inputs"].items()}
        return Trace(graph=graph, inputs=inputs, results=content["results"])
    except (OSError, msgspec.MsgspecError, DecodeError, KeyError, TypeError, AttributeError):
        return None


def _digest(pipeline: Pipeline) -> str:
    """Digest all that a trace depends on: the code, the reference models, the samples and the engine."""
    models = [read_source(stage.artifact(next(iter(stage.models)))).digest for stage in pipeline.stages if stage.models]
    samples = [pipeline.signature.load(sample.inputs) for sample in pipeline.load_samples()]
    return digest(FORMAT, versions("heterosis", "onnxruntime"), source_digest(pipeline), models, samples)
