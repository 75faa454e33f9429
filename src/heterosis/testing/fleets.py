"""Plans on fleets of unlike devices, to be simulated, or served by emulated instances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from heterosis.engines.emulated import EmulatedEngine, EmulatedModel
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
from heterosis.terms.profile import drawn_mean
from heterosis.testing.plans import make_variant
from heterosis.workflow.rehearsal.emulation import of_every_size


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of device for `make_mixed_plan`. ``latencies`` are those of batches of 1, 2, … up to the largest."""

    latencies: tuple[Latency, ...]
    power_w: float
    """Of a device that runs a batch, above idle."""
    instances: int = 4


def make_latency(p50_ms: float, p95_ms: float, p99_ms: float) -> Latency:
    """Make a latency whose mean is that of its whole distribution (`quantiles`)."""
    mean_ms = drawn_mean(p50_ms, p95_ms, p99_ms)
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


def as_emulated(plan: Plan, folder: Path) -> Plan:
    """Return a plan like this whose instances are emulated, from artifacts in a folder, yet to be written.

    An artifact rehearses one configuration, so each gets a variant of its own, named after the one it stands for.
    """
    replace = msgspec.structs.replace
    stand_ins = {}
    for number, real in enumerate(dict.fromkeys(placement.configuration for placement in plan.placements)):
        variant = plan.variant(real)
        stand_ins[real] = replace(
            variant,
            engine=EmulatedEngine.name,
            precision=f"{variant.engine}-{variant.precision}-{number}",
            artifact=str(folder / f"{real.stage}-{number}.json"),
        )

    def renamed(configuration: Configuration) -> Configuration:
        return replace(configuration, variant=stand_ins[configuration].name)

    def of(stage: StagePlan) -> StagePlan:
        variants = tuple(variant for variant in stand_ins.values() if variant.stage == stage.stage)
        return replace(stage, variant=variants[0], variants=variants)

    return replace(
        plan,
        stages=tuple(of(stage) for stage in plan.stages),
        placements=tuple(replace(each, configuration=renamed(each.configuration)) for each in plan.placements),
        points=tuple(
            replace(point, configuration=renamed(point.configuration))
            for point in plan.points
            if point.configuration in stand_ins
        ),
    )


def write_emulated(plan: Plan, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], source: str) -> None:
    """Write the artifacts of a plan's emulated variants, from the plan's operating points.

    Batch sizes between measured ones take what the scheduler and the simulator expect of them.
    """
    for configuration in {placement.configuration for placement in plan.placements}:
        points = [point for point in plan.points if point.configuration == configuration]
        EmulatedModel.of(of_every_size(points), tuple(inputs), tuple(outputs), source).write(
            Path(plan.variant(configuration).artifact)
        )
