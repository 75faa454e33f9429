"""Random tasks of a fleet: stages that follow each other, kinds of devices, variants, all drawn from a seed."""

import numpy as np

from heterosis.planning.fleet import Task, Workload
from heterosis.terms import (
    Configuration,
    Device,
    DeviceType,
    Energy,
    Fleet,
    Latency,
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

SOURCE = "drawn at random"


def make_task(  # noqa: PLR0913 - one for each thing that can be set
    seed: int,
    *,
    stages: int = 2,
    kinds: int = 2,
    modes: int = 1,
    variants: int = 2,
    batches: tuple[int, ...] = (1, 4),
    devices: int = 3,
    rate_rps: float = 20.0,
    slo_ms: float = 500.0,
    min_accuracy: float | None = None,
) -> Task:
    """Draw a task: one pipeline whose stages follow each other, and so many devices of each kind."""
    rng = np.random.default_rng(seed)
    types = [_device_type(f"kind{number}", modes, rng) for number in range(kinds)]
    fleet = Fleet(
        nodes=tuple(
            Node(
                name=f"node-{each.name}",
                devices=tuple(Device(name=f"{each.name}-{number}", type=each) for number in range(devices)),
            )
            for each in types
        )
    )
    names = [f"stage{number}" for number in range(stages)]
    calls = tuple(TracedCall(stage=name, parents=(number - 1,) if number else ()) for number, name in enumerate(names))
    graph = PipelineGraph(pipeline="drawn", stages=tuple(names), requests=(TracedRequest(calls=calls),))
    made, points = [], []
    for name in names:
        for number in range(variants):
            variant = Variant(
                stage=name,
                model=f"model{number}",
                engine="emulated",
                precision="fp32",
                artifact="",
                digest="",
                accuracy=float(0.99 - 0.04 * number - 0.01 * rng.random()),
            )
            made.append(variant)
            for each in types:
                points += _points(variant, each, 0.7**number, batches, rng)
    workload = Workload(
        graph=graph,
        slo=Slo(latency_ms=slo_ms, min_accuracy=min_accuracy),
        rate_rps=rate_rps,
        variants=VariantSet(pipeline="drawn", variants=tuple(made), reference_accuracy=1.0),
        profile=Profile(pipeline="drawn", machine=SOURCE, measured_at="", versions={}, points=tuple(points)),
    )
    return Task(workloads=(workload,), fleet=fleet)


def _device_type(name: str, modes: int, rng: np.random.Generator) -> DeviceType:
    idle_w, active_w = rng.uniform(2, 12), rng.uniform(15, 60)
    return DeviceType(
        name=name,
        kind="gpu",
        power_modes=tuple(
            PowerMode(
                name=f"mode{number}",
                idle_power_w=float(idle_w * 0.8**number),
                active_power_w=float(active_w * 0.6**number),
            )
            for number in range(modes)
        ),
        quality=Quality.MODELLED,
        source=SOURCE,
        price_per_hour=float(rng.uniform(0.1, 1.0)),
    )


def _points(
    variant: Variant, kind: DeviceType, work: float, batches: tuple[int, ...], rng: np.random.Generator
) -> list[OperatingPoint]:
    fixed_ms, item_ms = rng.uniform(2, 15), rng.uniform(2, 20)
    found = []
    for number, mode in enumerate(kind.power_modes):
        assert mode.active_power_w is not None  # noqa: S101 - as drawn above
        assert mode.idle_power_w is not None  # noqa: S101
        for batch in batches:
            mean_ms = float(work * (fixed_ms + item_ms * batch) * 1.4**number)
            joules = (mode.active_power_w - mode.idle_power_w) * mean_ms / 1e3
            found.append(
                OperatingPoint(
                    configuration=Configuration(
                        stage=variant.stage, variant=variant.name, device_type=kind.name, power_mode=mode.name
                    ),
                    batch=batch,
                    latency=Latency(mean_ms=mean_ms, p50_ms=mean_ms, p95_ms=1.1 * mean_ms, p99_ms=1.2 * mean_ms),
                    cpu_ms=mean_ms,
                    dynamic_energy=Energy(joules, Quality.MODELLED),
                    load_ms=500.0,
                    memory_bytes=200_000_000,
                )
            )
    return found
