"""The options of each stage on a fleet: how a call could be run on each group of devices, and what it then takes."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heterosis.planning.curve import Curve
from heterosis.planning.demand import Demand
from heterosis.planning.fleet.task import Task, Workload
from heterosis.planning.fleet.waits import fill_s, queue_s
from heterosis.terms import Configuration, OperatingPoint, Variant

UTILISATIONS = (0.3, 0.5, 0.7, 0.85, 0.95)
"""Shares of its time that a device may be planned to be busy: the higher, the fewer devices and the longer the
waits."""

ROUNDING = 1e-9
"""Relative error of times that were added up."""

Group = tuple[int, str]
"""Devices of one kind in one power mode, by the number of the kind and the name of the mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A variant on a group of devices, in batches of at most ``batch``, the devices busy for at most ``utilisation``.

    Times in seconds, of one call unless another is named.
    """

    stage: str
    variant: Variant
    configuration: Configuration
    group: Group
    batch: int
    utilisation: float
    slot_s: float
    """Slots times seconds that a call takes of a device, its share of a full batch."""
    run_s: float
    """All calls of a request that are ready together, at the SLO's percentile, with the way there and back."""
    wait_s: float
    """From ready until begun: for a full batch, and for an instance."""
    fill_s: float
    """The part of it that is waiting for a full batch."""
    energy_j: float | None
    """Dynamic energy of a call."""
    memory_bytes: int
    """Of one instance."""
    load_j: float
    """Energy to start one instance: its load and warm-up at the power of its slots."""

    @property
    def latency_s(self) -> float:
        """From ready until done."""
        return self.wait_s + self.run_s

    @property
    def device_s(self) -> float:
        """Slots times seconds that must be there for a call, idle time included."""
        return self.slot_s / self.utilisation

    @property
    def name(self) -> str:
        """For people, unique in its stage and group."""
        return f"{self.variant.name} in batches of {self.batch}, {self.utilisation:.0%} busy"


def enumerate_options(task: Task) -> list[Option]:
    """Return every option of every stage that its device can run.

    Waits are those of a group that serves the whole stage and nothing else: where several stages share it they differ,
    which is for the trial of the plan to find out.
    """
    found: list[Option] = []
    for workload in task.workloads:
        points: dict[Configuration, list[OperatingPoint]] = defaultdict(list)
        for point in workload.profile.points:
            if point.configuration.stage in workload.graph.stages:
                points[point.configuration].append(point)
        demands = {stage: workload.demand(stage) for stage in workload.graph.stages}
        for configuration, measured in points.items():
            stage = configuration.stage
            names = [variant.name for variant in workload.variants.of(stage)]
            if configuration.variant in names and configuration.threads >= 1:
                found += _options(task, workload, demands[stage], Curve(measured), configuration)
    return found


def _options(
    task: Task,
    workload: Workload,
    wanted: Demand,
    curve: Curve,
    configuration: Configuration,
) -> Iterator[Option]:
    rate = workload.rate_rps * wanted.mean
    if not rate:
        return
    percent = workload.slo.percentile
    variant = workload.variant(configuration.stage, configuration.variant)
    together = sum(size**2 * times for size, times in wanted.sizes.items()) / wanted.mean
    width = wanted.width(percent)
    for number, kind in enumerate(task.kinds):
        device = kind.device
        modes = [mode.name for mode in kind.type.power_modes]
        if (
            kind.type.name != configuration.device_type
            or configuration.power_mode not in modes
            or configuration.threads > kind.slots
        ):
            continue
        group = (number, configuration.power_mode)
        most = kind.slots // configuration.threads * len(kind.units)
        watts = device.dynamic_power_w(configuration.power_mode) or 0.0
        for batch, point in curve.points.items():
            if kind.memory_bytes is not None and point.memory_bytes > kind.memory_bytes:
                continue
            mean_s = curve.mean_ms[batch] / 1e3
            slot_s = configuration.threads * mean_s / batch
            spread = (curve.quantile_ms(batch, 95) - curve.quantile_ms(batch, 50)) / 1.645 / curve.mean_ms[batch]
            joules = curve.energy[batch].joules
            for utilisation in UTILISATIONS:
                servers = min(most, max(1, math.ceil(rate * mean_s / batch / utilisation)))
                filling = fill_s(batch, rate)
                queueing = queue_s(mean_s, servers, utilisation, 1 - percent / 100, together / batch + spread**2)
                yield Option(
                    stage=configuration.stage,
                    variant=variant,
                    configuration=configuration,
                    group=group,
                    batch=batch,
                    utilisation=utilisation,
                    slot_s=slot_s,
                    run_s=curve.stage_ms(width, batch, servers, percent) / 1e3 + 2 * kind.link_ms / 1e3,
                    wait_s=filling + queueing,
                    fill_s=filling,
                    energy_j=None if joules is None else joules / batch,
                    memory_bytes=point.memory_bytes,
                    load_j=configuration.threads * watts * (point.load_ms + point.warm_up_ms) / 1e3,
                )


def rounded(options: Sequence[Option], levels: Mapping[str, Sequence[float]]) -> list[Option]:
    """Round latencies up to the levels of their stage, in seconds and ascending; leave out what is slower than all."""
    found = []
    for option in options:
        of = levels[option.stage]
        at = bisect_left(of, option.latency_s * (1 - ROUNDING))
        if at < len(of):
            found.append(replace(option, wait_s=of[at] - option.run_s))
    return found


def undominated(options: Sequence[Option], cost: Callable[[Option], float], *, by_variant: bool) -> list[Option]:
    """Leave out options that another of the same stage and group is as good as, in every way.

    What counts is the cost of a call, the device time it needs, its latency and memory, and the variant's accuracy;
    with ``by_variant``, only options of one variant are compared. Of equals, the first stays.
    """
    kinds: dict[tuple[str, Group, str], list[Option]] = defaultdict(list)
    for option in options:
        kinds[option.stage, option.group, option.variant.name if by_variant else ""].append(option)
    return [kept for each in kinds.values() for kept in _front(each, cost)]


def _front(options: Sequence[Option], cost: Callable[[Option], float]) -> Iterable[Option]:
    figures = np.array(
        [
            (cost(each), each.device_s, each.latency_s, each.memory_bytes, -(each.variant.accuracy or 0.0))
            for each in options
        ]
    )
    no_worse = (figures[:, None] <= figures).all(axis=-1)
    order = np.arange(len(options))
    beaten = (no_worse & (~no_worse.T | (order[:, None] < order))).any(axis=0)
    return (option for option, out in zip(options, beaten.tolist(), strict=True) if not out)
