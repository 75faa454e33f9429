"""Small plans and graphs, made from a line or two."""

from collections.abc import Mapping, Sequence

from heterosis.terms import (
    Configuration,
    Energy,
    Latency,
    OperatingPoint,
    PipelineGraph,
    Placement,
    Plan,
    Prediction,
    Quality,
    Slo,
    StagePlan,
    TracedCall,
    TracedRequest,
    Variant,
)

PER_ITEM_SHARE = 0.5
"""Share of a batch's time that grows with its items; the rest is paid once a batch."""


def make_plan(  # noqa: PLR0913 - each has a default that a test may want otherwise
    stages: Mapping[str, float],
    *,
    slots: int = 2,
    max_batch: int = 4,
    slo_ms: float = 100.0,
    rate_rps: float = 10.0,
    policy: str = "heterosis",
    variants: Mapping[str, Variant] | None = None,
    pipeline: str = "toy",
) -> Plan:
    """Plan stages, in a chain, one after the other, with an instance of each on every slot of one device.

    ``stages`` maps names to the median time of one item in milliseconds, the first stage first. With ``variants``
    that can be loaded the plan can be served, and the times are what the scheduler expects.
    """
    planned, placements, points = [], [], []
    tail_ms = 0.0
    for name, base_ms in reversed(list(stages.items())):
        variant = variants[name] if variants else make_variant(name)
        configuration = Configuration(stage=name, variant=variant.name, device_type="toy")
        planned.append(
            StagePlan(
                stage=name,
                variant=variant,
                budget_ms=slo_ms / len(stages),
                tail_ms=tail_ms,
                demand_per_s=rate_rps,
                utilisation=0.0,
            )
        )
        tail_ms += 1.2 * base_ms
        placements += [
            Placement(
                instance=f"{name}-{slot}",
                configuration=configuration,
                max_batch=max_batch,
                node="here",
                device="toy",
                slots=(slot,),
            )
            for slot in range(slots)
        ]
        points += [_point(configuration, batch, base_ms) for batch in {1, max_batch}]
    return Plan(
        pipeline=pipeline,
        slo=Slo(latency_ms=slo_ms),
        rate_rps=rate_rps,
        policy=policy,
        stages=tuple(reversed(planned)),
        placements=tuple(placements),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


def make_pool(
    machines: Mapping[str, Mapping[int, float]],
    *,
    max_batch: int = 1,
    slo_ms: float = 100.0,
    policy: str = "heterosis",
    accuracies: Mapping[str, float] | None = None,
) -> Plan:
    """Plan one stage, ``a``, with an instance on each of several unlike machines.

    ``machines`` maps each to the time, always the same, of so many items in milliseconds. ``cpu-0`` and ``cpu-1`` are
    two of one kind, ``cpu``; ``accuracies`` go by kind.
    """
    kinds: dict[Configuration, Mapping[int, float]] = {}
    placements = []
    for name, times in machines.items():
        kind = name.partition("-")[0]
        configuration = Configuration(stage="a", variant=kind, device_type=kind)
        kinds[configuration] = times
        placements.append(
            Placement(
                instance=name,
                configuration=configuration,
                max_batch=max_batch,
                node=name,
                device=kind,
                slots=(0,),
                accuracy=(accuracies or {}).get(kind),
                prefetch_below_ms=0.0,
            )
        )
    points = tuple(
        OperatingPoint(
            configuration=configuration,
            batch=size,
            latency=Latency(mean_ms=time, p50_ms=time, p95_ms=time, p99_ms=time),
            cpu_ms=time,
        )
        for configuration, times in kinds.items()
        for size, time in times.items()
    )
    stage = StagePlan(
        stage="a", variant=make_variant("a"), budget_ms=slo_ms, tail_ms=0.0, demand_per_s=10.0, utilisation=0.0
    )
    return Plan(
        pipeline="toy",
        slo=Slo(latency_ms=slo_ms),
        rate_rps=10.0,
        policy=policy,
        stages=(stage,),
        placements=tuple(placements),
        points=points,
        predicted=Prediction(latency_ms=0.0),
    )


def make_variant(stage: str, *, model: str = "m", engine: str = "emulated", artifact: str = "") -> Variant:
    """Make a variant by hand."""
    return Variant(stage=stage, model=model, engine=engine, precision="any", artifact=artifact, digest=stage)


def graph_of(*requests: Sequence[tuple[str, Sequence[int]]]) -> PipelineGraph:
    """Make a graph of sample requests, each a list of calls: a stage, and the positions of the calls it waits for."""
    traced = tuple(
        TracedRequest(calls=tuple(TracedCall(stage=stage, parents=tuple(parents)) for stage, parents in calls))
        for calls in requests
    )
    stages = dict.fromkeys(call.stage for request in traced for call in request.calls)
    return PipelineGraph(pipeline="toy", stages=tuple(stages), requests=traced)


def _point(configuration: Configuration, batch: int, base_ms: float) -> OperatingPoint:
    median = base_ms * (1 + PER_ITEM_SHARE * (batch - 1))
    return OperatingPoint(
        configuration=configuration,
        batch=batch,
        latency=Latency(mean_ms=median, p50_ms=median, p95_ms=1.2 * median, p99_ms=1.3 * median),
        cpu_ms=median,
        dynamic_energy=Energy(median / 1e3, Quality.MODELLED),
    )
