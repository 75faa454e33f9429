"""`heterosis check`: run a pipeline here, once."""

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from heterosis.cli.console import output, print_json, progress, readable
from heterosis.cli.options import Json, PipelineFile


class StageCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as it ran."""

    stage: str
    calls: tuple[int, ...]
    """For each sample."""
    calls_mean: float
    ms_per_call: float | None
    time_share: float
    followed_by: dict[str, float]
    """Calls of other stages that come right after, per request."""


class SampleCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One sample as it ran; ``accuracy`` is None where its truth is unknown."""

    sample: int
    result: Any
    accuracy: float | None
    compute_ms: float


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What running a pipeline on samples showed."""

    pipeline: str
    samples: tuple[SampleCheck, ...]
    stages: tuple[StageCheck, ...]
    paths: tuple[tuple[str, ...], ...]


def check(
    file: PipelineFile,
    /,
    *,
    sample: Annotated[int, Parameter(help="Which sample to run, counted from 0.")] = 0,
    all_samples: Annotated[
        bool, Parameter(name="--all", negative=(), show_default=False, help="Run every sample: how does fan-out vary?")
    ] = False,
    json: Json = False,
) -> None:
    """Run a pipeline once, in this process, and show its result, the time of each stage, and its graph.

    Every stage runs its reference model, on all cores, one call at a time: this shows that the pipeline works and where
    its time goes, not how fast it can be served. What stages exchange is checked to be fit for travel as well.

    ```
    heterosis check examples/ocr/pipeline.py
    heterosis check examples/ocr/pipeline.py --all --json
    ```
    """
    import asyncio

    from heterosis.terms.errors import UsageError
    from heterosis.workflow.blame import load, user_code

    pipeline = load(file)
    samples = pipeline.load_samples()
    if not 0 <= sample < max(len(samples), 1):
        raise UsageError(f"no sample {sample}: pipeline {pipeline.name!r} has {len(samples)}, counted from 0")
    positions = list(range(len(samples))) if all_samples else [sample][: len(samples)]
    what = f"pipeline {pipeline.name!r} failed on a sample"
    with progress(f"Running {pipeline.name}", total=len(positions)) as step, user_code(what):
        found = asyncio.run(_run(pipeline, positions, step))
    if json:
        print_json(found)
    else:
        _show(found)


async def _run(pipeline: Any, positions: list[int], step: Any) -> Check:
    """Trace the samples, and bring together what was seen."""
    from heterosis.pipeline import LocalCaller, trace
    from heterosis.workflow.blame import user_code
    from heterosis.workflow.traces import packed

    caller = LocalCaller()
    samples = [pipeline.load_samples()[position] for position in positions]
    ended: list[float] = []
    seconds: dict[str, list[float]] = {stage.name: [] for stage in pipeline.stages}

    def record() -> None:
        ended.append(sum(caller.seconds))
        for call, spent in zip(caller.calls, caller.seconds, strict=True):
            seconds[call.stage].append(spent)
        step()

    await trace(pipeline, samples[:1], caller)  # so that the times below are those of warm sessions
    traced = await trace(pipeline, samples, caller, record)
    caller.close()
    packed(traced)
    with user_code(f"what pipeline {pipeline.name!r} returned does not fit what it is annotated to return"):
        for result in traced.results:
            pipeline.signature.encode(result)
    graph = traced.graph
    return Check(
        pipeline=pipeline.name,
        samples=tuple(
            SampleCheck(
                sample=position,
                result=result,
                accuracy=None if sample.truth is None else pipeline.score(result, sample.truth),
                compute_ms=spent * 1e3,
            )
            for position, sample, result, spent in zip(positions, samples, traced.results, ended, strict=True)
        ),
        stages=tuple(
            StageCheck(
                stage=stage,
                calls=graph.fan_out(stage).counts,
                calls_mean=graph.fan_out(stage).mean,
                ms_per_call=sum(seconds[stage]) / len(seconds[stage]) * 1e3 if seconds[stage] else None,
                time_share=graph.time_share.get(stage, 0.0),
                followed_by={after: calls for (before, after), calls in graph.edges().items() if before == stage},
            )
            for stage in graph.stages
        ),
        paths=graph.paths(),
    )


def _show(found: Check) -> None:
    from rich.table import Table

    console = output()
    for sample in found.samples:
        accuracy = "" if sample.accuracy is None else f", accuracy {sample.accuracy:.3f}"
        console.print(f"{found.pipeline}, sample {sample.sample}: {sample.compute_ms:.0f} ms of compute{accuracy}")
        if len(found.samples) == 1:
            console.print(readable(sample.result), markup=False)
    known = [sample.accuracy for sample in found.samples if sample.accuracy is not None]
    if len(known) > 1:
        console.print(f"mean accuracy {sum(known) / len(known):.4f} over {len(known)} samples whose truth is known")
    table = Table("stage", "calls per request", "ms per call", "share of time", "followed by", box=None, pad_edge=False)
    for stage in found.stages:
        least, most = min(stage.calls), max(stage.calls)
        table.add_row(
            stage.stage,
            f"{least}" if least == most else f"{stage.calls_mean:.1f} ({least} to {most})",
            "-" if stage.ms_per_call is None else f"{stage.ms_per_call:.1f}",
            f"{stage.time_share:.0%}",
            ", ".join(f"{after} x{calls:.3g}" for after, calls in stage.followed_by.items()) or "-",
        )
    console.print()
    console.print(table)
