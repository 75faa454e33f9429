"""Profiles a pipeline: every variant of every stage, in every configuration worth knowing, on this machine's CPU."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heterosis.devices import describe, usable_cores
from heterosis.pipeline import Stage, load_pipeline
from heterosis.profiling.bench import Bench
from heterosis.profiling.inputs import save_inputs
from heterosis.profiling.points import Points
from heterosis.profiling.records import Record, Records, Subject, digest_of_code, now, versions_for
from heterosis.profiling.settings import Budget, Progress, Settings
from heterosis.profiling.stages import Open, StageProfiler, threads_of
from heterosis.terms import Device, Exclusion, OperatingPoint, Profile, Variant, VariantSet
from heterosis.terms.errors import UsageError

MODE = "default"

Inputs = Mapping[str, Sequence[tuple[Any, ...]]]


def profile(
    target: str,
    variants: VariantSet,
    inputs: Inputs,
    device: Device,
    *,
    store: Path,
    settings: Settings | None = None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Profile:
    """Measure the variants of the pipeline in ``target`` on traced inputs: by stage, the arguments of each call.

    What the store already knows is not measured again, and each point is stored as soon as it is measured. What was
    not measured, or not to the end, stands in the profile's ``excluded`` with the reason. Raise UsageError where a
    stage has no variant, StageError where none of a stage's variants can be measured.
    """
    settings = settings or Settings()
    pipeline = load_pipeline(target)
    threads = sorted(settings.threads or {1, device.slots}, key=lambda number: number or math.inf)  # 0 is all there are
    batches = tuple(sorted({1, *settings.batches}))
    called = [variant for variant in variants.variants if inputs.get(variant.stage)]
    budget = Budget(settings.budget_s, sum(len(threads_of(variant, threads)) for variant in called), len(batches))
    source = _Source(target, device, store, settings.most_waiting)
    points: list[OperatingPoint] = []
    excluded: list[Exclusion] = []
    for stage in pipeline.stages:
        candidates = variants.of(stage.name)
        calls = inputs.get(stage.name)
        if not candidates:
            raise UsageError(f"stage {stage.name!r} has no variant to profile; build its variants first")
        if not calls:
            reason = "no sample calls this stage, so there is nothing to measure it with"
            excluded.append(Exclusion(stage=stage.name, name="every variant", reason=reason))
            continue
        profiler = StageProfiler(
            candidates,
            source.opener(stage, calls),
            budget,
            progress,
            batches=batches,
            threads=threads,
            cap_ms=settings.cap_ms if settings.cap_ms is not None else pipeline.slo.latency_ms,
            most_calls=settings.most_calls.get(stage.name),
        )
        profiler.run()
        points += profiler.points
        excluded += profiler.excluded
    return Profile(
        pipeline=pipeline.name,
        machine=source.machine,
        measured_at=max((points.record.measured_at for points in source.opened), default=now()),
        versions={
            name: version for points in source.opened for name, version in points.record.subject.versions.items()
        },
        points=tuple(points),
        excluded=tuple(excluded),
    )


class _Source:
    """Where points come from: the store, and processes on this machine's cores."""

    def __init__(self, target: str, device: Device, store: Path, most_waiting: float) -> None:
        self.machine = describe()
        self.opened: list[Points] = []
        self._target = target
        self._device = device
        self._store = store
        self._records = Records(store, most_waiting)
        self._cores = usable_cores()

    def opener(self, stage: Stage, calls: Sequence[tuple[Any, ...]]) -> Open:
        """Write a stage's inputs; return what opens the points of its variants."""
        inputs = save_inputs(self._store / "inputs", stage.name, calls)
        code = digest_of_code(stage.folder)

        def open_points(variant: Variant, threads: int) -> Points:
            subject = Subject(
                stage=stage.name,
                variant=variant.name,
                digest=variant.digest,
                threads=threads,
                machine=self.machine,
                versions=versions_for(variant),
                inputs=inputs.digest,
                code=code,
            )
            cores = self._cores[:threads] if threads else self._cores
            record: Record = self._records.load(subject)
            points = Points(
                record,
                self._records,
                lambda: Bench(self._target, variant, threads, cores, inputs.path),
                variant,
                self._device,
                MODE,
            )
            self.opened.append(points)
            return points

        return open_points
