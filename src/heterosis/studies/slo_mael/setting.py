"""The setting: six models on the three processors of one board, deadlines a multiple of the best run time.

Source of all figures: SLO-MAEL (Seo et al., "SLO-Aware Inference Scheduler for Heterogeneous Processors in Edge
Platforms", ACM TACO 2021) and its public code: the profiled times of one inference on each processor, the share
of the models in the load, Poisson arrivals, deadlines of ``N`` times a model's base time. Moments of arrival, deadlines
and run times are whole milliseconds. Ours are the noise of the run times (lognormal, 5 %), the two mixes and the seeds.

The requests of all models come in one stream: their order shuffled, the gaps exponential and cut to whole
milliseconds, which shortens the two seconds by 5 to 8 % and raises the load by as much. See the package's docstring for
why they are drawn so.
"""

from typing import Final

import msgspec
import numpy as np

from heterosis.simulation import Arrival, single_call
from heterosis.terms import (
    Configuration,
    Latency,
    OperatingPoint,
    Placement,
    Plan,
    Prediction,
    Slo,
    StagePlan,
    TracedRequest,
    Variant,
)

PROCESSORS: Final = ("big", "gpu", "dsp")
"""The big cores of the CPU, the GPU and the DSP of the board; each runs one inference at a time."""
DURATION_MS: Final = 2000
"""How long requests arrive."""
NOISE: Final = 0.05
"""Standard deviation of the logarithm of a run time."""
P95: Final = 1.645
P99: Final = 2.326
"""Standard normal quantiles."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model: its run times, by processor, and what the published code derives its load and its deadline from."""

    run_ms: tuple[float, float, float]
    count_ms: float
    """The run time that its number of requests follows from."""
    base_ms: float
    """The run time that its deadline is a multiple of."""


MODELS: Final = {
    "lenet": Model(run_ms=(5.0, 5.3, 7.0), count_ms=5.0, base_ms=5.0),
    "googlenet": Model(run_ms=(330.0, 28.6, 18.9), count_ms=16.0, base_ms=18.9),
    "resnet50": Model(run_ms=(502.0, 58.4, 36.8), count_ms=36.8, base_ms=37.0),
    "squeezenet": Model(run_ms=(182.0, 16.9, 12.9), count_ms=12.6, base_ms=12.9),
    "yolov2_tiny": Model(run_ms=(254.0, 48.1, 48.9), count_ms=47.2, base_ms=48.1),
    "frcnn": Model(run_ms=(105.0, 20.2, 20.5), count_ms=20.4, base_ms=20.2),
}
MIXES: Final = ((1, 1, 2, 1, 1, 1), (1, 2, 1, 1, 1, 1))
"""Shares of the load, in the order of the models: two mixes."""

_SHAPES: Final[dict[str, TracedRequest]] = {name: single_call(name) for name in MODELS}


def counts(intensity: float, mix: int) -> dict[str, int]:
    """How many requests of each model arrive: its share of ``intensity`` times the duration, in its own run times."""
    shares = MIXES[mix]
    return {
        name: int(intensity * DURATION_MS / model.count_ms * share / sum(shares))
        for (name, model), share in zip(MODELS.items(), shares, strict=True)
    }


def arrivals(n: float, intensity: float, mix: int, seed: int) -> list[Arrival]:
    """Draw the requests of one run, in order; each is of the class that its model names."""
    rng = np.random.default_rng(seed)
    names = [name for name, count in counts(intensity, mix).items() for _ in range(count)]
    rng.shuffle(names)
    gaps = rng.exponential(DURATION_MS / len(names), len(names)).astype(int)
    return [
        Arrival(int(moment) / 1e3, _SHAPES[name], request_class=name, latency_ms=deadline_ms(n, name))
        for name, moment in zip(names, np.cumsum(gaps), strict=True)
    ]


def deadline_ms(n: float, model: str) -> float:
    """The time that a request of a model has from its arrival."""
    return float(int(n * MODELS[model].base_ms))


def make_plan(policy: str, n: float, intensity: float, mix: int) -> Plan:
    """Plan an instance of every model on every processor; those of one processor take turns on its only slot."""
    demand = {name: count / DURATION_MS * 1e3 for name, count in counts(intensity, mix).items()}
    points = [_point(name, number) for name in MODELS for number in range(len(PROCESSORS))]
    return Plan(
        pipeline="slo-mael",
        slo=Slo(latency_ms=max(deadline_ms(n, name) for name in MODELS)),
        rate_rps=sum(demand.values()),
        policy=policy,
        stages=tuple(_stage(name, deadline_ms(n, name), demand[name]) for name in MODELS),
        placements=tuple(_placement(point.configuration) for point in points),
        points=tuple(points),
        predicted=Prediction(latency_ms=0.0),
    )


def _stage(name: str, budget_ms: float, demand_per_s: float) -> StagePlan:
    variant = Variant(stage=name, model=name, engine="published", precision="fp32", artifact="", digest=name)
    return StagePlan(
        stage=name, variant=variant, budget_ms=budget_ms, tail_ms=0.0, demand_per_s=demand_per_s, utilisation=0.0
    )


def _point(name: str, processor: int) -> OperatingPoint:
    mean_ms = MODELS[name].run_ms[processor]
    return OperatingPoint(
        configuration=Configuration(stage=name, variant=name, device_type=PROCESSORS[processor]),
        batch=1,
        latency=Latency(
            mean_ms=mean_ms,
            p50_ms=mean_ms,
            p95_ms=mean_ms * float(np.exp(P95 * NOISE)),
            p99_ms=mean_ms * float(np.exp(P99 * NOISE)),
        ),
        cpu_ms=mean_ms,
    )


def _placement(configuration: Configuration) -> Placement:
    device = configuration.device_type
    return Placement(
        instance=f"{configuration.stage}@{device}",
        configuration=configuration,
        max_batch=1,
        node="board",
        device=device,
        slots=(0,),
    )
