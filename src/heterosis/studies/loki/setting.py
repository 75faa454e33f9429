"""The setting: twenty servers with a GTX 1080 Ti each, frames within 250 ms, and what their power is.

Departures from the paper: persons (4 to 23 per cent of the objects), whose VGG has no published times, are left out; a
frame has as many cars as its detector finds on average, which is drawn as one of the two whole numbers next to it; load
times are nought, as in the paper's simulator.

Power is modelled. A board idles at 13 W and runs at its power target of 250 W (Tom's Hardware, "Nvidia GeForce GTX 1080
Ti 11GB Review", 2017: both measured); it draws the latter as long as a batch runs, whatever the batch, so energy
follows time. The host is left out, and boards without instances are off. No published figures say how much slower these
models are at other power limits, so there is one mode.
"""

import math
from collections.abc import Collection, Mapping
from typing import Final

from heterosis.planning.fleet import Objective, Task, Workload
from heterosis.studies.loki.published import CLASSIFIERS, DETECTORS, Published
from heterosis.terms import (
    DEFAULT_MODE,
    Configuration,
    Device,
    DeviceType,
    Energy,
    Fleet,
    Node,
    OperatingPoint,
    PipelineGraph,
    PowerMode,
    Profile,
    Quality,
    Slo,
    TracedCall,
    TracedRequest,
    Variant,
    VariantSet,
)

SERVERS: Final = 20
SLO_MS: Final = 250.0
IDLE_W: Final = 13.0
ACTIVE_W: Final = 250.0
GPU: Final = "gtx-1080-ti"
FLEET: Final = f"{SERVERS} x {GPU}"
PIPELINE: Final = "traffic"
DETECT: Final = "detect"
CLASSIFY: Final = "classify"
MODELS: Final = {DETECT: DETECTORS, CLASSIFY: CLASSIFIERS}
BEST: Final = ("yolov5x", "eb6")
"""The most accurate of each."""
FRAMES: Final = 1000
"""Sample frames: as many as make the mean number of cars exact to a thousandth."""


def fleet() -> Fleet:
    """The servers, on one switch."""
    kind = DeviceType(
        name=GPU,
        kind="gpu",
        power_modes=(PowerMode(name=DEFAULT_MODE, idle_power_w=IDLE_W, active_power_w=ACTIVE_W),),
        quality=Quality.MODELLED,
        source="Tom's Hardware, Nvidia GeForce GTX 1080 Ti 11GB Review, 2017",
    )
    nodes = (Node(name=f"s{at}", devices=(Device(name="gpu", type=kind),)) for at in range(SERVERS))
    return Fleet(nodes=tuple(nodes))


def frame(cars: int) -> TracedRequest:
    """A frame with so many cars."""
    return TracedRequest(
        calls=(TracedCall(stage=DETECT), *(TracedCall(stage=CLASSIFY, parents=(0,)) for _ in range(cars)))
    )


def frames(cars: float) -> tuple[TracedRequest, ...]:
    """Sample frames with so many cars on average: of two kinds, with one car more or less."""
    more = round(FRAMES * (cars - math.floor(cars)))
    few, many = frame(math.floor(cars)), frame(math.floor(cars) + 1)
    return (*[many] * more, *[few] * (FRAMES - more))


def make_task(
    published: Published,
    rate_rps: float,
    objectives: tuple[Objective, ...] = (Objective.DEVICES,),
    *,
    cars: float | None = None,
    recall: bool = False,
    min_accuracy: float | None = None,
    models: Collection[str] | None = None,
) -> Task:
    """Ask for so many frames per second.

    ``cars``: in every frame, whichever detector looks, instead of the published ones. Accuracy is Loki's measure, the
    product of the models' normalised accuracies; with ``recall`` it is the share of the cars that are found and told
    right. ``models``: those that may be used, instead of all.
    """
    variants = tuple(
        _variant(stage, model, accuracy)
        for stage, rated in MODELS.items()
        for model, accuracy in sorted(rated.items(), key=lambda each: -each[1])
        if models is None or model in models
    )
    names = {variant.model: variant.name for variant in variants}
    best = cars or published.cars[BEST[0]]

    def judge(chosen: Mapping[str, Variant]) -> float:
        found = published.recall(chosen[DETECT].model) if recall else DETECTORS[chosen[DETECT].model]
        return found * CLASSIFIERS[chosen[CLASSIFY].model]

    workload = Workload(
        graph=PipelineGraph(pipeline=PIPELINE, stages=(DETECT, CLASSIFY), requests=frames(best)),
        slo=Slo(latency_ms=SLO_MS, percentile=99.0, min_accuracy=min_accuracy),
        rate_rps=rate_rps,
        variants=VariantSet(pipeline=PIPELINE, variants=variants, reference_accuracy=1.0),
        profile=Profile(
            pipeline=PIPELINE,
            machine="published",
            measured_at="",
            versions={},
            points=tuple(point for variant in variants for point in _points(variant, published)),
        ),
        fan_out={
            (DETECT, names[model], CLASSIFY): (cars or found) / best
            for model, found in published.cars.items()
            if model in names
        },
        judge=judge,
    )
    return Task(workloads=(workload,), fleet=fleet(), objectives=objectives, mix=True)


def _variant(stage: str, model: str, accuracy: float) -> Variant:
    return Variant(
        stage=stage, model=model, engine="onnxruntime", precision="fp32", artifact="", digest=model, accuracy=accuracy
    )


def _points(variant: Variant, published: Published) -> list[OperatingPoint]:
    return [
        OperatingPoint(
            configuration=Configuration(stage=variant.stage, variant=variant.name, device_type=GPU),
            batch=batch,
            latency=latency,
            cpu_ms=latency.mean_ms,
            dynamic_energy=Energy((ACTIVE_W - IDLE_W) * latency.mean_ms / 1e3, Quality.MODELLED),
        )
        for batch, latency in sorted(published.times[variant.model].items())
    ]
