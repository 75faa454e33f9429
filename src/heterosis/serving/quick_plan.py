"""A plan for a plain model that needs no solver: what a short look found says how many threads and calls a batch has.

The rate says how many instances there are, at most as many as there are cores for.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from heterosis.engines import ENGINE_OF
from heterosis.pipeline.model import SEED, SLO, STAGE, synthetic
from heterosis.pipeline.probing import Probed
from heterosis.terms import (
    DEFAULT_PREFETCH_BELOW_MS,
    UNKNOWN,
    Configuration,
    Device,
    Energy,
    OperatingPoint,
    Placement,
    Plan,
    Prediction,
    Quality,
    Slo,
    StagePlan,
    Variant,
)

SLO_RATIO = 20.0
"""The SLO of a model that is given none is so many times as long as a call takes, or `model.SLO` where that is more."""

PREFETCH_BELOW_MS = 20.0
"""How short full batches have to be for an instance to hold one more while it runs one (see `Placement`).

Calls of a model alone have nothing behind them and much time, so little is lost to bind them early; an instance that
has to wait for its next loses a twentieth of 10 ms, and wakes with cold caches.
"""

FULL = 0.7
"""How busy an instance may be, on average, at the rate that is planned for."""

AS_IT_IS = "as-is"
"""The precision of a variant that nothing is known of but the file."""


def quick_plan(  # noqa: PLR0913 - all that it depends on
    name: str,
    path: Path,
    found: Probed,
    *,
    node: str,
    device: Device,
    first_core: int,
    rate_rps: float,
    slo: Slo | None,
    policy: str,
) -> Plan:
    """Plan a model on a device; the cores that it gets begin with ``first_core``, counted round."""
    first = found.points[0].latency if found.points else None
    slo = slo or Slo(latency_ms=max(SLO.latency_ms, SLO_RATIO * (first.p99_ms if first else 0.0)))
    variant = Variant(
        stage=STAGE,
        model=path.stem,
        engine=ENGINE_OF[path.suffix],
        precision=AS_IT_IS,
        artifact=str(path),
        digest=f"{path.name} {path.stat().st_mtime_ns}",
        size_bytes=path.stat().st_size,
    )
    configuration = Configuration(
        stage=STAGE, variant=variant.name, device_type=device.type.name, threads=found.threads
    )
    max_batch = found.points[-1].batch if found.points else 1
    full_ms = found.points[-1].latency.mean_ms if found.points else math.inf
    busy = rate_rps * (first.mean_ms if first else 0.0) / 1e3
    room = max(device.slots // found.threads, 1)
    count = min(max(math.ceil(busy / FULL), 1), room)
    placements = tuple(
        Placement(
            instance=f"{STAGE}-{number}",
            configuration=configuration,
            max_batch=max_batch,
            node=node,
            device=device.name,
            slots=tuple((first_core + number) % room * found.threads + slot for slot in range(found.threads)),
            prefetch_below_ms=PREFETCH_BELOW_MS if full_ms < PREFETCH_BELOW_MS else DEFAULT_PREFETCH_BELOW_MS,
        )
        for number in range(count)
    )
    stage = StagePlan(
        stage=STAGE,
        variant=variant,
        budget_ms=slo.latency_ms,
        tail_ms=0.0,
        demand_per_s=rate_rps,
        utilisation=busy * found.threads,
        batch=max_batch,
    )
    return Plan(
        pipeline=name,
        slo=slo,
        rate_rps=rate_rps,
        policy=policy,
        stages=(stage,),
        placements=placements,
        points=_points(configuration, found, device),
        predicted=Prediction(
            latency_ms=first.p99_ms if first else 0.0, utilisation=busy * found.threads / device.slots
        ),
        reasons=("not planned: the file as it is, by what a short look at it found; --no-quick makes a plan",),
    )


def _points(configuration: Configuration, found: Probed, device: Device) -> tuple[OperatingPoint, ...]:
    power_w = device.dynamic_power_w(configuration.power_mode)
    return tuple(
        OperatingPoint(
            configuration=configuration,
            batch=each.batch,
            latency=each.latency,
            cpu_ms=each.cpu_ms,
            dynamic_energy=UNKNOWN if power_w is None else Energy(each.cpu_ms / 1e3 * power_w, Quality.MODELLED),
            load_ms=found.load_ms,
        )
        for each in found.points
    )


def warm_up(found: Probed, max_batch: int) -> list[list[tuple[Any, ...]]]:
    """Batches to warm up on: one call alone, two together, and as many rows as there may be."""
    if not found.points:
        return []
    random = np.random.default_rng(SEED)
    one, other = (synthetic(found.inputs, 1, found.length, random) for _ in range(2))
    batches: list[list[tuple[Any, ...]]] = [[(one,)]]
    if found.batched:
        batches += [[(one,), (other,)], [(synthetic(found.inputs, max_batch, found.length, random),)]]
    return batches
