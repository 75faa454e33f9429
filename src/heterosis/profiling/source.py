"""Where points come from: the store, and processes on this machine's cores."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from heterosis.devices import describe, usable_cores
from heterosis.pipeline import Stage
from heterosis.profiling.bench import Bench
from heterosis.profiling.inputs import InputsFile, save_inputs
from heterosis.profiling.interference import Neighbours
from heterosis.profiling.joules import Joules
from heterosis.profiling.points import Points
from heterosis.profiling.records import Records, Subject, digest_of_code, now, versions_for
from heterosis.profiling.search import Open
from heterosis.profiling.settings import Budget
from heterosis.terms import Configuration, Device, Interference, Provenance, Variant, VariantSet


class Source:
    """Opens the points of configurations; a context manager that closes the meter of the device."""

    def __init__(
        self, target: str, device: Device, store: Path, most_waiting: float, set_mode: Callable[[str], object]
    ) -> None:
        """Read from, and write to, the records of a store."""
        self._machine = describe()
        self._target = target
        self._device = device
        self._store = store
        self._records = Records(store, most_waiting)
        self._set_mode = set_mode
        self._joules = Joules(device)
        self._cores = usable_cores()
        self._inputs: dict[str, InputsFile] = {}
        self._code: dict[str, str] = {}
        self._variants: dict[tuple[str, str], Variant] = {}
        self._opened: list[Points] = []

    def add(self, stage: Stage, calls: Sequence[tuple[Any, ...]]) -> None:
        """Write a stage's inputs."""
        self._inputs[stage.name] = save_inputs(self._store / "inputs", stage.name, calls)
        self._code[stage.name] = digest_of_code(stage.folder)

    def opener(self, variants: VariantSet) -> Open:
        """Return what opens the points of configurations of these variants."""
        self._variants = {(variant.stage, variant.name): variant for variant in variants.variants}
        return self._open

    def interference(self, among: Collection[tuple[Configuration, int]], budget: Budget) -> tuple[Interference, ...]:
        """Measure these side by side, as far as time allows; at each configuration's largest batch size."""
        largest = dict(sorted(among, key=lambda each: each[1]))
        neighbours = Neighbours(self._records, self._subject, self._bench, self._cores)
        return tuple(neighbours.measure(largest, budget))

    def stale(self) -> tuple[str, ...]:
        """Say what was on record for configurations that had to be measured anew, and why."""
        return tuple(dict.fromkeys(points.stale for points in self._opened if points.stale))

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

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the meter."""
        self._joules.__exit__(kind, error, trace)

    def _open(self, configuration: Configuration) -> Points:
        subject = self._subject(configuration)
        record = self._records.load(subject)
        points = Points(
            configuration, record, self._records, lambda: self._bench(configuration, self._cores), self._joules
        )
        points.stale = "" if record.measurements else self._records.why_stale(subject)
        self._opened.append(points)
        return points

    def _subject(self, configuration: Configuration) -> Subject:
        variant = self._variants[configuration.stage, configuration.variant]
        return Subject(
            stage=variant.stage,
            variant=variant.name,
            digest=variant.digest,
            threads=configuration.threads,
            device=configuration.device_type,
            power_mode=configuration.power_mode,
            machine=self._machine,
            versions=versions_for(variant),
            inputs=self._inputs[variant.stage].digest,
            code=self._code[variant.stage],
        )

    def _bench(self, configuration: Configuration, cores: Sequence[int]) -> Bench:
        """Start a process on the first of these cores, as many as it has threads, in its power mode."""
        self._set_mode(configuration.power_mode)
        variant, threads = self._variants[configuration.stage, configuration.variant], configuration.threads
        return Bench(
            self._target, variant, threads, cores[:threads] if threads else cores, self._inputs[variant.stage].path
        )
