"""Tracing: what a pipeline does, seen by running it on its samples."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import inf
from statistics import fmean
from typing import Any

import msgspec

from heterosis.pipeline.calls import calls_run_by, frontier
from heterosis.pipeline.function import Pipeline, Sample
from heterosis.pipeline.local import LocalCaller
from heterosis.pipeline.runner import Args
from heterosis.terms import PipelineGraph, TracedRequest
from heterosis.terms.errors import UsageError


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline run on samples: its graph, and for each stage the arguments of every call that was made."""

    graph: PipelineGraph
    inputs: dict[str, list[Args]]
    results: list[Any]


async def trace(
    pipeline: Pipeline,
    samples: Sequence[Sample],
    caller: LocalCaller | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Trace:
    """Run a pipeline on each sample, one at a time, and record the calls.

    ``caller`` decides which variants run (the reference ones by default); ``progress`` is called after each sample.
    """
    if not samples:
        raise UsageError(f"pipeline {pipeline.name!r} has no samples: give it some with @{pipeline.name}.samples")
    own = caller is None
    caller = caller or LocalCaller()
    requests, results = [], []
    inputs: dict[str, list[Args]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for sample in samples:
        caller.forget()
        with calls_run_by(caller):
            frontier.set(())
            results.append(await pipeline.function(**pipeline.signature.load(sample.inputs)))
        requests.append(TracedRequest(calls=tuple(caller.calls)))
        for call, args, spent in zip(caller.calls, caller.inputs, caller.seconds, strict=True):
            inputs[call.stage].append(args)
            seconds[call.stage] += spent
        progress()
    if own:
        caller.close()
    total = sum(seconds.values()) or 1.0
    stages = _in_order(pipeline, requests)
    graph = PipelineGraph(
        pipeline=pipeline.name,
        stages=stages,
        requests=tuple(requests),
        time_share={stage: seconds[stage] / total for stage in stages},
    )
    return Trace(graph=graph, inputs=dict(inputs), results=results)


def _in_order(pipeline: Pipeline, requests: Sequence[TracedRequest]) -> tuple[str, ...]:
    """Name the stages in the order in which requests reach them, by the mean number of calls on the way there."""
    depths: dict[str, list[int]] = defaultdict(list)
    for request in requests:
        reached: list[int] = []
        for call in request.calls:
            reached.append(1 + max((reached[parent] for parent in call.parents), default=-1))
            depths[call.stage].append(reached[-1])
    names = [stage.name for stage in pipeline.stages]
    return tuple(sorted(names, key=lambda name: fmean(depths[name]) if name in depths else inf))
