"""Pipelines of published models: graph, SLO, variants, and the profile that the catalogue has of them on a fleet.

Accuracy of a variant is the pipeline's with the best model in every other stage: its own over that of the best model of
its stage. The reference accuracy is therefore 1. A detector that misses objects is charged for them here, not by fewer
calls of the next stage.
"""

import functools
from collections.abc import Iterable, Iterator

import msgspec

from heterosis.catalogue.curves import Curve, curves
from heterosis.catalogue.models import find_model
from heterosis.catalogue.records import nearest, read
from heterosis.catalogue.types import find_entry
from heterosis.terms import (
    Configuration,
    Energy,
    Fleet,
    Latency,
    OperatingPoint,
    PipelineGraph,
    Profile,
    Quality,
    Slo,
    TracedCall,
    TracedRequest,
    Variant,
    VariantSet,
)
from heterosis.terms.errors import UsageError

BATCHES = (1, 2, 4, 8, 16, 32)
MEMORY_OVER_WEIGHTS = 2.5
"""Memory of an instance over the size of its model's fp32 weights, activations included: modelled."""


class _Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    models: tuple[str, ...]
    input_bytes: int
    calls: tuple[int, ...] = ()


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    slo_ms: float
    percentile: float
    min_accuracy: float
    source: str
    stage: tuple[_Stage, ...]


class PublishedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline whose stages run published models; with a fleet and a rate it makes a snapshot to plan for."""

    title: str
    source: str
    graph: PipelineGraph
    slo: Slo
    variants: VariantSet

    def profile(self, fleet: Fleet, batches: Iterable[int] = BATCHES) -> Profile:
        """Return operating points at these batch sizes for every variant on every type and mode of a fleet.

        Raise UsageError where the fleet has no device on which one of the stages could run.
        """
        types = {device.type.name for device in fleet.devices}
        sizes = sorted(set(batches))
        points: list[OperatingPoint] = []
        for stage in self.graph.stages:
            known = {variant.name for variant in self.variants.of(stage)}
            able = [curve for curve in curves() if curve.type in types and curve.variant in known]
            if not able:
                raise UsageError(
                    f"no device of the fleet has figures for stage {stage!r} of {self.graph.pipeline!r}; "
                    f"it needs one of: {', '.join(sorted({c.type for c in curves() if c.variant in known}))}"
                )
            points.extend(point for curve in able for point in _points(stage, curve, sizes))
        return Profile(
            pipeline=self.graph.pipeline,
            machine="catalogue: published figures and models of them",
            measured_at="",
            versions={},
            points=tuple(points),
        )


@functools.cache
def _entries() -> dict[str, _Entry]:
    return read("pipelines.toml", dict[str, _Entry])


def pipeline_names() -> tuple[str, ...]:
    """Return the names of the pipelines that `open_pipeline` knows."""
    return tuple(_entries())


def open_pipeline(name: str) -> PublishedPipeline:
    """Return a pipeline of the catalogue. Raise UsageError, with the nearest names, where it has none such."""
    entry = _entries().get(name)
    if entry is None:
        raise UsageError(f"the catalogue has no pipeline {name!r}; {nearest(name, list(_entries()))}")
    return PublishedPipeline(
        title=entry.title,
        source=entry.source,
        graph=_graph(name, entry),
        slo=Slo(latency_ms=entry.slo_ms, percentile=entry.percentile, min_accuracy=entry.min_accuracy),
        variants=VariantSet(
            pipeline=name,
            variants=tuple(variant for stage in entry.stage for variant in _variants(stage)),
            reference_accuracy=1.0,
        ),
    )


def _graph(name: str, entry: _Entry) -> PipelineGraph:
    """All calls of a stage wait for all of the stage before, once each sample."""
    samples = max(len(stage.calls) for stage in entry.stage)
    requests = []
    for sample in range(samples):
        calls: list[TracedCall] = []
        before: tuple[int, ...] = ()
        for stage in entry.stage:
            count = stage.calls[sample] if stage.calls else 1
            ready = tuple(range(len(calls), len(calls) + count))
            calls.extend(TracedCall(stage=stage.name, parents=before) for _ in ready)
            before = ready
        requests.append(TracedRequest(calls=tuple(calls)))
    return PipelineGraph(
        pipeline=name,
        stages=tuple(stage.name for stage in entry.stage),
        requests=tuple(requests),
        input_bytes={stage.name: stage.input_bytes for stage in entry.stage},
    )


def _variants(stage: _Stage) -> Iterator[Variant]:
    """Each model with each engine and precision that it has figures for, the most accurate first."""
    found = {curve.variant: curve for curve in curves() if curve.model in stage.models}
    best = max(find_model(model).reference for model in stage.models)
    for curve in sorted(found.values(), key=lambda curve: (-curve.accuracy, curve.variant)):
        yield Variant(
            stage=stage.name,
            model=curve.model,
            engine=curve.engine,
            precision=curve.precision,
            artifact="",
            digest=f"catalogue:{curve.variant}",
            accuracy=min(1.0, curve.accuracy / best),
            size_bytes=find_model(curve.model).size_bytes,
        )


def _points(stage: str, curve: Curve, sizes: Iterable[int]) -> Iterator[OperatingPoint]:
    entry, model = find_entry(curve.type), find_model(curve.model)
    configuration = Configuration(
        stage=stage, variant=curve.variant, device_type=curve.type, power_mode=curve.mode, threads=curve.threads
    )
    for batch in sizes:
        if batch <= entry.max_batch:
            mean_ms = curve.ms.at(batch)
            yield OperatingPoint(
                configuration=configuration,
                batch=batch,
                latency=Latency(
                    mean_ms=mean_ms,
                    p50_ms=model.spread.p50 * mean_ms,
                    p95_ms=model.spread.p95 * mean_ms,
                    p99_ms=model.spread.p99 * mean_ms,
                ),
                cpu_ms=mean_ms * curve.threads,
                dynamic_energy=Energy(curve.joules.at(batch), Quality.MODELLED),
                load_ms=entry.load_ms,
                memory_bytes=int(MEMORY_OVER_WEIGHTS * model.size_bytes),
            )
