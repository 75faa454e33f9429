"""Profiles a pipeline: every variant of every stage, in every configuration worth knowing, on this machine's CPU."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heterosis.pipeline import FUNCTION, load_pipeline
from heterosis.profiling.search import Decide, Field, Search
from heterosis.profiling.settings import Budget, Progress, Settings
from heterosis.profiling.source import Source
from heterosis.terms import Configuration, Device, Exclusion, Profile, Variant, VariantSet
from heterosis.terms.errors import UsageError

Inputs = Mapping[str, Sequence[tuple[Any, ...]]]


def profile(  # noqa: PLR0913 - what is measured, where it is kept, how, and who is told
    target: str,
    variants: VariantSet,
    inputs: Inputs,
    device: Device,
    *,
    store: Path,
    settings: Settings | None = None,
    decide: Sequence[Decide] | None = None,
    set_mode: Callable[[str], object] = lambda _: None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Profile:
    """Measure the variants of the pipeline in ``target`` on traced inputs: by stage, the arguments of each call.

    With ``decide``, a coarse grid is measured, and then what could change one of the plans that are decided on, one
    after the other; without, the whole grid. What the store already knows is not measured again, and each point is
    stored as soon as it is measured. What was not measured stands in the profile's ``excluded`` with the reason. Raise
    UsageError where a stage has no variant, StageError where none of a stage's variants can be measured.

    ``set_mode`` brings the device into a power mode of ``settings.modes``; who handed it in puts back what was.
    """
    settings = settings or Settings()
    pipeline = load_pipeline(target)
    source = Source(target, device, store, settings.most_waiting, set_mode)
    fields, excluded = [], []
    for stage in pipeline.stages:
        candidates = variants.of(stage.name)
        if not candidates:
            raise UsageError(f"stage {stage.name!r} has no variant to profile; build its variants first")
        if inputs.get(stage.name):
            source.add(stage, inputs[stage.name])
            fields.append(_field(stage.name, candidates, device, settings))
        else:
            reason = "no sample calls this stage, so there is nothing to measure it with"
            excluded.append(Exclusion(stage=stage.name, name="every variant", reason=reason))
    cap_ms = settings.cap_ms if settings.cap_ms is not None else pipeline.slo.latency_ms
    budget = Budget(settings.budget_s)
    with source:
        search = Search(fields, source.opener(variants), budget, progress, cap_ms)
        if decide is None:
            search.all()
        else:
            search.coarse()
            for each in decide:
                search.refine(each)
        together = source.interference(search.chosen, budget)
    order = {place: number for number, place in enumerate(place for field in fields for place in field.places)}
    points = [search.known[place] for place in sorted(search.known.keys() & order.keys(), key=order.__getitem__)]
    origin = source.origin(variants)
    return Profile(
        pipeline=pipeline.name,
        machine=origin.machine,
        measured_at=origin.measured_at,
        versions=origin.versions,
        points=tuple(points),
        excluded=(*excluded, *search.excluded),
        cold_starts=tuple(search.cold_starts.values()),
        interference=together,
        origins=(origin,),
        stale=source.stale(),
    )


def _field(stage: str, variants: Sequence[Variant], device: Device, settings: Settings) -> Field:
    """The grid of one stage on a device, in each of the power modes asked for."""
    threads = sorted(settings.threads or {1, device.slots}, key=lambda number: number or math.inf)  # 0 is all there are
    return Field(
        stage=stage,
        configurations={
            variant.name: [
                Configuration(
                    stage=stage, variant=variant.name, device_type=device.type.name, power_mode=mode, threads=number
                )
                for mode in settings.modes
                for number in threads_of(variant, threads)
            ]
            for variant in variants
        },
        batches=sorted({1, *settings.batches}),
    )


def threads_of(variant: Variant, threads: Sequence[int]) -> Sequence[int]:
    """Numbers of threads to measure a variant with; a stage without a model has no engine to give them to."""
    return (1,) if variant.engine == FUNCTION else threads
