"""A pool of machines as a plan that the simulator runs."""

from collections.abc import Mapping

from heterosis.planning.pools import Pool
from heterosis.simulation.service import EmpiricalTimes, LogNormalTimes, Service
from heterosis.studies.kairos.latencies import Runs
from heterosis.studies.kairos.setting import Model
from heterosis.terms import (
    UNKNOWN,
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
    Variant,
)

STAGE = "model"


def configuration_of(kind: str) -> Configuration:
    """The one configuration of a machine type."""
    return Configuration(stage=STAGE, variant=STAGE, device_type=kind)


def plan_of(
    model: Model,
    pool: Pool,
    runs: Mapping[str, Runs],
    policy: str,
    rate_rps: float,
    dynamic_w: Mapping[str, float] | None = None,
) -> Plan:
    """A plan of one stage with an instance on each machine of the pool; a machine runs one query at a time.

    The pool counts machines in the order of ``runs``. ``dynamic_w`` is the modelled power above idle of a busy machine
    of each type, in watts, where it is known.
    """
    variant = Variant(
        stage=STAGE, model=model.name, engine="emulated", precision="fp32", artifact="", digest=model.name
    )
    names = [f"{kind}-{number}" for kind, count in zip(runs, pool, strict=True) for number in range(count)]
    placements = tuple(
        Placement(
            instance=name,
            configuration=configuration_of(name.rsplit("-", 1)[0]),
            max_batch=1,
            node=name,
            device="machine",
            slots=(0,),
            prefetch_below_ms=0.0,
        )
        for name in names
    )
    points = tuple(
        OperatingPoint(
            configuration=configuration_of(kind),
            batch=size,
            latency=latency,
            cpu_ms=latency.mean_ms,
            dynamic_energy=_joules(kind, latency, dynamic_w),
        )
        for kind, count in zip(runs, pool, strict=True)
        if count
        for size, latency in sorted(runs[kind].latencies.items())
    )
    stage = StagePlan(
        stage=STAGE, variant=variant, budget_ms=model.latency_ms, tail_ms=0.0, demand_per_s=rate_rps, utilisation=0.0
    )
    return Plan(
        pipeline=model.name,
        slo=Slo(latency_ms=model.latency_ms, percentile=99.0),
        rate_rps=rate_rps,
        policy=policy,
        stages=(stage,),
        placements=placements,
        points=points,
        predicted=Prediction(latency_ms=model.latency_ms),
    )


def service_of(plan: Plan, runs: Mapping[str, Runs]) -> Service:
    """Run times: drawn from the samples where there are any, else lognormal around the fitted lines."""
    kinds = {placement.configuration.device_type for placement in plan.placements}
    if not all(runs[kind].samples for kind in kinds):
        return LogNormalTimes(plan, {configuration_of(kind): runs[kind].cv for kind in kinds})
    return EmpiricalTimes(
        {(configuration_of(kind), size): times for kind in kinds for size, times in runs[kind].samples.items()}
    )


def _joules(kind: str, latency: Latency, dynamic_w: Mapping[str, float] | None) -> Energy:
    if dynamic_w is None:
        return UNKNOWN
    return Energy(dynamic_w[kind] * latency.mean_ms / 1e3, Quality.MODELLED)
