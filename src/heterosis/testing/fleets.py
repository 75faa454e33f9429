"""A plan for one stage on a fleet of unlike devices, to be simulated, or served by emulated instances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from heterosis.engines.emulated import EmulatedModel
from heterosis.terms import (
    Configuration,
    Energy,
    Latency,
    OperatingPoint,
    Placement,
    Plan,
    Prediction,
    Quality,
    Slo,
    StagePlan,
    TensorSpec,
)
from heterosis.terms.profile import QUANTILES_AT, quantiles
from heterosis.testing.plans import make_variant


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of device for `make_mixed_plan`. ``latencies`` are those of batches of 1, 2, … up to the largest."""

    latencies: tuple[Latency, ...]
    power_w: float
    """Of a device that runs a batch, above idle."""
    instances: int = 4


def make_latency(p50_ms: float, p95_ms: float, p99_ms: float) -> Latency:
    """Make a latency whose mean is that of its whole distribution (`quantiles`)."""
    mean_ms = float(np.trapezoid(quantiles(p50_ms, p95_ms, p99_ms), QUANTILES_AT))
    return Latency(mean_ms=mean_ms, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms)


def make_mixed_plan(
    stage: str,
    kinds: Mapping[str, Kind],
    *,
    slo_ms: float,
    rate_rps: float = 10.0,
    policy: str = "heterosis",
    pipeline: str = "toy",
    folder: Path = Path(),
) -> Plan:
    """Plan one stage on unlike devices, each with a variant of its own, whose artifact is ``folder/NAME.json``."""
    variants = {name: make_variant(stage, model=name, artifact=str(folder / f"{name}.json")) for name in kinds}
    placements: list[Placement] = []
    points: list[OperatingPoint] = []
    for name, kind in kinds.items():
        configuration = Configuration(stage=stage, variant=variants[name].name, device_type=name)
        placements += [
            Placement(
                instance=f"{name}-{number}",
                configuration=configuration,
                max_batch=len(kind.latencies),
                node="away",
                device=f"{name}-{number}",
                slots=(0,),
            )
            for number in range(kind.instances)
        ]
        points += [
            OperatingPoint(
                configuration=configuration,
                batch=batch,
                latency=latency,
                cpu_ms=0.0,
                dynamic_energy=Energy(kind.power_w * latency.mean_ms / 1e3, Quality.MODELLED),
            )
            for batch, latency in enumerate(kind.latencies, 1)
        ]
    first, *_ = variants.values()
    planned = StagePlan(
        stage=stage,
        variant=first,
        budget_ms=slo_ms,
        tail_ms=0.0,
        demand_per_s=rate_rps,
        utilisation=0.0,
        variants=tuple(variants.values()),
    )
    return Plan(
        pipeline=pipeline,
        slo=Slo(latency_ms=slo_ms),
        rate_rps=rate_rps,
        policy=policy,
        stages=(planned,),
        placements=tuple(placements),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


def write_emulated(plan: Plan, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], source: str) -> None:
    """Write the artifacts of a plan's emulated variants, from the plan's operating points."""
    for configuration in {placement.configuration for placement in plan.placements}:
        points = [point for point in plan.points if point.configuration == configuration]
        EmulatedModel.of(points, tuple(inputs), tuple(outputs), source).write(
            Path(plan.variant(configuration).artifact)
        )
