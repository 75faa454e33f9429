"""The plans: every function on every slot, in all power modes or in one."""

from functools import cache

import numpy as np

from heterosis.studies.slack.servers import MODES, Mode, Servers
from heterosis.studies.slack.setting import CHAINS, NOISE, Chain, Load, Stage
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
    Variant,
)

_P95, _P99 = 1.645, 2.326  # standard normal quantiles


@cache
def make_plan(policy: str, load: Load, servers: Servers, modes: tuple[Mode, ...] = MODES) -> Plan:
    """Plan what may run: any function on any slot in any of the modes. Instances that share slots take turns."""
    stages = [stage for chain in CHAINS for stage in chain.stages]
    rate = load.rate_rps(servers)
    return Plan(
        pipeline="chains",
        slo=Slo(latency_ms=max(chain.limit_s for chain in CHAINS) * 1e3),
        rate_rps=rate,
        policy=policy,
        stages=tuple(
            _stage(chain, number, rate / len(CHAINS)) for chain in CHAINS for number in range(len(chain.models))
        ),
        placements=tuple(
            Placement(
                instance=f"{stage.name}@d{domain}.{slot}/{mode.name}",
                configuration=configuration(stage, mode),
                max_batch=1,
                node="servers",
                device=f"d{domain}",
                slots=(slot,),
                prefetch_below_ms=0.0,
            )
            for stage in stages
            for mode in modes
            for domain in range(servers.domains)
            for slot in range(servers.width)
        ),
        points=tuple(_point(stage, mode, servers) for stage in stages for mode in modes),
        predicted=Prediction(latency_ms=0.0),
    )


def configuration(stage: Stage, mode: Mode) -> Configuration:
    """A function in a mode."""
    return Configuration(stage=stage.name, variant=stage.model, device_type="domain", power_mode=mode.name)


def _stage(chain: Chain, number: int, demand_per_s: float) -> StagePlan:
    stage, full = chain.stages[number], MODES[0]
    variant = Variant(
        stage=stage.name, model=stage.model, engine="tflite", precision="fp32", artifact="", digest=stage.model
    )
    return StagePlan(
        stage=stage.name,
        variant=variant,
        budget_ms=chain.slo * stage.run_s(full) * 1e3,
        tail_ms=sum(later.run_s(full) for later in chain.stages[number + 1 :]) * 1e3,
        demand_per_s=demand_per_s,
        utilisation=0.0,
    )


def _point(stage: Stage, mode: Mode, servers: Servers) -> OperatingPoint:
    mean_s = stage.run_s(mode)
    sigma = float(np.sqrt(np.log1p(NOISE**2)))
    median_ms = mean_s * 1e3 * float(np.exp(-(sigma**2) / 2))
    return OperatingPoint(
        configuration=configuration(stage, mode),
        batch=1,
        latency=Latency(
            mean_ms=mean_s * 1e3,
            p50_ms=median_ms,
            p95_ms=median_ms * float(np.exp(_P95 * sigma)),
            p99_ms=median_ms * float(np.exp(_P99 * sigma)),
        ),
        cpu_ms=mean_s * 1e3,
        dynamic_energy=Energy(mean_s * servers.busy_w(mode), Quality.MODELLED),
    )
