"""The plans: which configurations a policy has to choose from."""

from statistics import fmean
from typing import Final

import numpy as np

from heterosis.studies.synergai.published import ENGINES
from heterosis.studies.synergai.setting import NOISE, QUERIES, SHARED, TARGETS, capacity_per_s, least_s, side_by_side
from heterosis.studies.synergai.workers import IDLE_W, Choice, choices
from heterosis.terms import (
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

CHOSEN: Final = "chosen"
"""All configurations are planned, and the policy chooses one for each job."""
STATIC: Final = {"fastest": 1.0, "within 1.25x": 1.25, "within 2x": 2.0, "frugal": float("inf")}
"""Static settings to choose the best from, by name: each engine has one configuration on each worker, the one of least
energy among those that take at most so many times as long as its fastest there."""

_P95, _P99 = 1.645, 2.326  # standard normal quantiles
_TYPICAL = int(fmean(QUERIES))


def make_plan(vm: str, policy: str, load: float, configuration: str) -> Plan:
    """Plan what may run: everything (`CHOSEN`), or one of the `STATIC` settings. Instances that share slots take turns.

    A worker has one slot; a ``shared`` VM has one for each vCPU.
    """
    planned = [
        each
        for engine in ENGINES
        for each in (choices(engine) if configuration == CHOSEN else _static(engine, configuration))
    ]
    rate = load * capacity_per_s()
    return Plan(
        pipeline="synergai",
        slo=Slo(latency_ms=max(TARGETS) * 1e3 * max(least_s(engine, max(QUERIES)) for engine in ENGINES)),
        rate_rps=rate,
        policy=policy,
        stages=tuple(_stage(engine, rate / len(ENGINES)) for engine in ENGINES),
        placements=tuple(placement for each in planned for placement in _placements(vm, each)),
        points=tuple(_point(each, queries) for each in planned for queries in (1, *QUERIES)),
        predicted=Prediction(latency_ms=0.0),
    )


def _static(engine: str, name: str) -> list[Choice]:
    found = []
    for worker in IDLE_W:
        of = [each for each in choices(engine) if each.worker == worker]
        limit = STATIC[name] * min(each.exec_s(_TYPICAL) for each in of)
        found.append(
            min((each for each in of if each.exec_s(_TYPICAL) <= limit), key=lambda each: each.dynamic_j(_TYPICAL))
        )
    return found


def _stage(engine: str, demand_per_s: float) -> StagePlan:
    variant = Variant(stage=engine, model=engine, engine="tflite", precision="fp32", artifact="", digest=engine)
    budget_ms = fmean(TARGETS) * 1e3 * least_s(engine, _TYPICAL)
    return StagePlan(
        stage=engine, variant=variant, budget_ms=budget_ms, tail_ms=0.0, demand_per_s=demand_per_s, utilisation=0.0
    )


def _placements(vm: str, choice: Choice) -> list[Placement]:
    made_of = choice.configuration
    width = made_of.threads if vm == SHARED and choice.worker == "x86" else 1
    return [
        Placement(
            instance=f"{made_of.stage}@{choice.worker}/{made_of.power_mode}/{made_of.threads}#{number}",
            configuration=made_of,
            max_batch=1,
            node=choice.worker,
            device=choice.worker,
            slots=tuple(range(number * width, (number + 1) * width)),
        )
        for number in range(side_by_side(vm, choice))
    ]


def _point(choice: Choice, queries: int) -> OperatingPoint:
    mean_ms = choice.exec_s(queries) * 1e3
    median_ms = mean_ms * float(np.exp(-(NOISE**2) / 2))
    return OperatingPoint(
        configuration=choice.configuration,
        batch=queries,
        latency=Latency(
            mean_ms=mean_ms,
            p50_ms=median_ms,
            p95_ms=median_ms * float(np.exp(_P95 * NOISE)),
            p99_ms=median_ms * float(np.exp(_P99 * NOISE)),
        ),
        cpu_ms=mean_ms * choice.configuration.threads,
        dynamic_energy=Energy(choice.dynamic_j(queries), Quality.MODELLED),
    )
