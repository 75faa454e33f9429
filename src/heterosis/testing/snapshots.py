"""Snapshots for tests of whatever plans: a pipeline, a fleet and a profile in a few lines."""

from collections.abc import Mapping, Sequence

from heterosis.planning.snapshot import Snapshot
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


def fleet(slots: int = 2, memory_bytes: int | None = None, power_modes: Sequence[str] = ("default",)) -> Fleet:
    """Return one node, ``local``, with one device, ``cpu``, of 5 W idle and 15 W with every slot busy."""
    modes = tuple(PowerMode(name=name, idle_power_w=5.0, active_power_w=15.0) for name in power_modes)
    cpu = DeviceType(name="cpu", kind="cpu", power_modes=modes, quality=Quality.MODELLED)
    device = Device(name="cpu", type=cpu, slots=slots, memory_bytes=memory_bytes)
    return Fleet(nodes=(Node(name="local", devices=(device,)),))


def chain(stages: Mapping[str, Sequence[int]]) -> PipelineGraph:
    """Return a graph whose samples call one stage after another: the calls of each stage, in each sample.

    All calls of a stage are ready together, once all of the stage before are done.
    """
    samples = len(next(iter(stages.values())))
    requests = []
    for sample in range(samples):
        calls: list[TracedCall] = []
        before: tuple[int, ...] = ()
        for stage, counts in stages.items():
            ready = tuple(range(len(calls), len(calls) + counts[sample]))
            calls.extend(TracedCall(stage=stage, parents=before) for _ in ready)
            before = ready or before
        requests.append(TracedRequest(calls=tuple(calls)))
    return PipelineGraph(pipeline="test", stages=tuple(stages), requests=tuple(requests))


def variant(stage: str, model: str = "small", precision: str = "fp32", accuracy: float | None = None) -> Variant:
    """Return a variant for onnxruntime."""
    name = f"{stage}-{model}-{precision}"
    return Variant(
        stage=stage,
        model=model,
        engine="onnxruntime",
        precision=precision,
        artifact=f"{name}.onnx",
        digest=name,
        accuracy=accuracy,
    )


def point(  # noqa: PLR0913
    of: Variant,
    threads: int,
    batch: int,
    mean_ms: float,
    *,
    joules: float | None = None,
    tail: float = 1.0,
    memory_bytes: int = 0,
    device_type: str = "cpu",
    power_mode: str = "default",
) -> OperatingPoint:
    """Return an operating point whose p95 and p99 are ``tail`` times the mean, and whose threads are always busy."""
    return OperatingPoint(
        configuration=Configuration(
            stage=of.stage, variant=of.name, device_type=device_type, power_mode=power_mode, threads=threads
        ),
        batch=batch,
        latency=Latency(mean_ms=mean_ms, p50_ms=mean_ms, p95_ms=tail * mean_ms, p99_ms=tail * mean_ms),
        cpu_ms=mean_ms * max(threads, 1),
        dynamic_energy=Energy() if joules is None else Energy(joules, Quality.MODELLED),
        memory_bytes=memory_bytes,
    )


def snapshot(  # noqa: PLR0913
    graph: PipelineGraph,
    variants: Sequence[Variant],
    points: Sequence[OperatingPoint],
    *,
    slo: Slo,
    rate_rps: float = 1.0,
    slots: int = 2,
    memory_bytes: int | None = None,
    power_modes: Sequence[str] = ("default",),
    reference_accuracy: float | None = None,
) -> Snapshot:
    """Return a snapshot of one local device."""
    return Snapshot(
        graph=graph,
        slo=slo,
        rate_rps=rate_rps,
        variants=VariantSet(pipeline=graph.pipeline, variants=tuple(variants), reference_accuracy=reference_accuracy),
        profile=Profile(
            pipeline=graph.pipeline, machine="test", measured_at="2025-01-01", versions={}, points=tuple(points)
        ),
        fleet=fleet(slots, memory_bytes, power_modes),
    )
