"""Profiles a pipeline: every variant of every stage, in every configuration worth knowing, on this machine's CPU."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heterosis.devices import describe, usable_cores
from heterosis.pipeline import FUNCTION, Stage, load_pipeline
from heterosis.profiling.bench import Bench
from heterosis.profiling.inputs import InputsFile, save_inputs
from heterosis.profiling.points import Points
from heterosis.profiling.records import Records, Subject, digest_of_code, now, versions_for
from heterosis.profiling.search import Decide, Field, Open, Search
from heterosis.profiling.settings import Budget, Progress, Settings
from heterosis.terms import Configuration, Device, Exclusion, Profile, Provenance, Variant, VariantSet
from heterosis.terms.errors import UsageError

MODE = "default"

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
    progress: Callable[[Progress], object] = lambda _: None,
) -> Profile:
    """Measure the variants of the pipeline in ``target`` on traced inputs: by stage, the arguments of each call.

    With ``decide``, a coarse grid is measured, and then what could change one of the plans that are decided on, one
    after the other; without, the whole grid. What the store already knows is not measured again, and each point is
    stored as soon as it is measured. What was not measured stands in the profile's ``excluded`` with the reason. Raise
    UsageError where a stage has no variant, StageError where none of a stage's variants can be measured.
    """
    settings = settings or Settings()
    pipeline = load_pipeline(target)
    source = _Source(target, device, store, settings.most_waiting)
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
    search = Search(fields, source.opener(variants), Budget(settings.budget_s), progress, cap_ms)
    if decide is None:
        search.all()
    else:
        search.coarse()
        for each in decide:
            search.refine(each)
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
        origins=(origin,),
    )


def _field(stage: str, variants: Sequence[Variant], device: Device, settings: Settings) -> Field:
    """The grid of one stage on a device, in each of its power modes that can be set."""
    threads = sorted(settings.threads or {1, device.slots}, key=lambda number: number or math.inf)  # 0 is all there are
    return Field(
        stage=stage,
        configurations={
            variant: [
                Configuration(
                    stage=stage, variant=variant.name, device_type=device.type.name, power_mode=MODE, threads=number
                )
                for number in threads_of(variant, threads)
            ]
            for variant in variants
        },
        batches=sorted({1, *settings.batches}),
    )


def threads_of(variant: Variant, threads: Sequence[int]) -> Sequence[int]:
    """Numbers of threads to measure a variant with; a stage without a model has no engine to give them to."""
    return (1,) if variant.engine == FUNCTION else threads


class _Source:
    """Where points come from: the store, and processes on this machine's cores."""

    def __init__(self, target: str, device: Device, store: Path, most_waiting: float) -> None:
        self._machine = describe()
        self._target = target
        self._device = device
        self._store = store
        self._records = Records(store, most_waiting)
        self._cores = usable_cores()
        self._inputs: dict[str, InputsFile] = {}
        self._code: dict[str, str] = {}
        self._opened: list[Points] = []

    def add(self, stage: Stage, calls: Sequence[tuple[Any, ...]]) -> None:
        """Write a stage's inputs."""
        self._inputs[stage.name] = save_inputs(self._store / "inputs", stage.name, calls)
        self._code[stage.name] = digest_of_code(stage.folder)

    def opener(self, variants: VariantSet) -> Open:
        """Return what opens the points of configurations of these variants."""
        named = {(variant.stage, variant.name): variant for variant in variants.variants}

        def open_points(configuration: Configuration) -> Points:
            stage, threads = configuration.stage, configuration.threads
            variant = named[stage, configuration.variant]
            subject = Subject(
                stage=stage,
                variant=variant.name,
                digest=variant.digest,
                threads=threads,
                device=configuration.device_type,
                power_mode=configuration.power_mode,
                machine=self._machine,
                versions=versions_for(variant),
                inputs=self._inputs[stage].digest,
                code=self._code[stage],
            )
            cores = self._cores[:threads] if threads else self._cores
            points = Points(
                configuration,
                self._records.load(subject),
                self._records,
                lambda: Bench(self._target, variant, threads, cores, self._inputs[stage].path),
                self._device,
            )
            self._opened.append(points)
            return points

        return open_points

    def origin(self, variants: VariantSet) -> Provenance:
        """Say what the points hold for."""
        measured = [points.record for points in self._opened if points.record.measurements]
        return Provenance(
            machine=self._machine,
            measured_at=max((record.measured_at for record in measured), default=now()),
            device_types=(self._device.type.name,),
            versions={name: version for record in measured for name, version in record.subject.versions.items()},
            digests={f"{each.stage}/{each.name}": each.digest for each in variants.variants},
        )
