"""Stand-ins for published pipelines: variants and artifacts that sleep as long as the real ones would have taken.

A pipeline of the catalogue has figures but no models. Its variants become emulated ones, one for one, and each instance
loads an artifact with the operating points of its own configuration.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from heterosis.control.speeds import profiled
from heterosis.engines.emulated import EmulatedEngine, EmulatedModel
from heterosis.planning.fleet import Task, Workload
from heterosis.scheduling.estimates import PERCENTS, Estimates
from heterosis.terms import DYNAMIC, Configuration, Latency, OperatingPoint, Placement, TensorSpec, Variant

FEATURES = 8
"""Numbers in an item that stands for a real one: what travels is small."""
SOURCE = "heterosis.catalogue"
_TENSORS = tuple(TensorSpec(name=name, dtype="float32", shape=(DYNAMIC, FEATURES)) for name in ("x", "y"))


def emulated(task: Task) -> Task:
    """Return a task whose variants are emulated ones, named after those that they stand for."""

    def of(workload: Workload) -> Workload:
        stand_ins = {
            (variant.stage, variant.name): replace(
                variant, engine=EmulatedEngine.name, precision=f"{variant.engine}-{variant.precision}"
            )
            for variant in workload.variants.variants
        }

        def renamed(configuration: Configuration) -> Configuration:
            stand_in = stand_ins.get((configuration.stage, configuration.variant))
            return configuration if stand_in is None else replace(configuration, variant=stand_in.name)

        return replace(
            workload,
            variants=replace(workload.variants, variants=tuple(stand_ins.values())),
            profile=replace(
                workload.profile,
                points=tuple(
                    replace(point, configuration=renamed(point.configuration)) for point in workload.profile.points
                ),
            ),
        )

    return replace(task, workloads=tuple(map(of, task.workloads)))


class Artifacts:
    """Writes what emulated instances load, when they are about to."""

    def __init__(
        self, points: Sequence[OperatingPoint], folder: Path, kept: Callable[[str], bool] = lambda _: False
    ) -> None:
        """Keep them in a folder; ``faults.json`` there slows devices down while they run.

        ``kept`` tells of an instance whether its device has it in memory already.
        """
        self._kept = kept
        self._points: dict[Configuration, list[OperatingPoint]] = {}
        for point in points:
            self._points.setdefault(point.configuration, []).append(point)
        self._folder = folder
        self.faults = folder / "faults.json"
        """Factors by node/device."""

    def variant_for(self, placement: Placement, variant: Variant) -> Variant:
        """Return the variant with the artifact of a placement's configuration and device."""
        return replace(variant, artifact=str(self.write(placement)))

    def write(self, placement: Placement) -> Path:
        """Write that artifact, unless it is there."""
        configuration = profiled(placement.configuration)
        kept = self._kept(placement.instance)
        words = (placement.instance, configuration.device_type, *(("kept",) if kept else ()))
        name = "-".join(words).replace("/", "_").replace(" ", "_")
        path = self._folder / f"{name}.json"
        if not path.exists():
            points = self._points[configuration]
            model = EmulatedModel.of(of_every_size(points), _TENSORS[:1], _TENSORS[1:], SOURCE)
            loads = [point.load_ms + point.warm_up_ms for point in points if point.batch <= placement.max_batch]
            replace(
                model,
                load_ms=0.0 if kept else max(loads, default=0.0),
                unit=f"{placement.node}/{placement.device}",
                faults=str(self.faults),
            ).write(path)
        return path


def of_every_size(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """Fill in batch sizes between measured ones, with what scheduler and simulator expect of them."""
    estimates, largest = Estimates(points), max(point.batch for point in points)
    measured = {point.batch: point for point in points}

    def between(batch: int) -> OperatingPoint:
        nearest = measured[min(size for size in measured if size > batch)]
        configuration = nearest.configuration
        p50_ms, p95_ms, p99_ms = (1e3 * estimates.quantile(configuration, batch, percent) for percent in PERCENTS)
        return replace(
            nearest,
            batch=batch,
            latency=Latency(
                mean_ms=1e3 * estimates.mean(configuration, batch), p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms
            ),
            dynamic_energy=nearest.energy_per_item * batch,
        )

    return [measured.get(batch) or between(batch) for batch in range(1, largest + 1)]


HEAD = '''"""A published pipeline, rehearsed: how many calls a request makes comes with the request."""

import asyncio

import numpy as np

import heterosis as hs


class Emulated:
    models = {"emulated": "emulated.onnx"}

    def before(self, item):
        return item

    def after(self, output, item):
        return output


ITEM = np.zeros(FEATURES, np.float32)
'''
STAGE = """

class CLASS(Emulated):
    pass


STAGE = hs.stage(CLASS)
"""
FUNCTION = """

@hs.pipeline(slo=hs.Slo(latency_ms=LATENCY_MS, percentile=PERCENTILE))
async def PIPELINE(counts: list[int]) -> int:
    CALLS
    return sum(counts)


@PIPELINE.samples
def samples():
    return [hs.Sample({"counts": counts}) for counts in SAMPLES]
"""
CALL = "await asyncio.gather(*(STAGE(ITEM) for _ in range(counts[NUMBER])))"


def write_pipeline(workload: Workload, folder: Path) -> Path:
    """Write the pipeline's function: all calls of a stage wait for all of the one before, as the catalogue's do."""
    graph = workload.graph
    samples = [
        [sum(call.stage == stage for call in request.calls) for stage in graph.stages] for request in graph.requests
    ]
    words: Mapping[str, str] = {
        "LATENCY_MS": str(workload.slo.latency_ms),
        "PERCENTILE": str(workload.slo.percentile),
        "PIPELINE": graph.pipeline,
        "CALLS": "\n    ".join(
            CALL.replace("STAGE", stage).replace("NUMBER", str(number)) for number, stage in enumerate(graph.stages)
        ),
        "SAMPLES": str(samples),
    }
    function = FUNCTION
    for word, text in words.items():
        function = function.replace(word, text)
    stages = "".join(
        STAGE.replace("CLASS", "".join(part.capitalize() for part in stage.split("_"))).replace("STAGE", stage)
        for stage in graph.stages
    )
    path = folder / f"{graph.pipeline}.py"
    path.write_text(HEAD.replace("FEATURES", str(FEATURES)) + stages + function)
    return path
