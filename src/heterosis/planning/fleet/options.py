"""The options of each stage on a fleet: how a call could be run on each group of devices, and what it then takes."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heterosis.planning.curve import Curve, curves
from heterosis.planning.demand import Demand
from heterosis.planning.fleet.task import Objective, Task, Workload
from heterosis.planning.fleet.waits import at_once, filled, queue_s
from heterosis.terms import Configuration, Variant

UTILISATIONS = (0.4, 0.7, 0.9)
"""Shares of its time that a device may be planned to be busy: the higher, the fewer devices and the longer the
waits."""

COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Instances that a stage may be spread over though fewer would carry it: with more of them calls wait less, and those
that are ready together are done sooner."""

OPEN_S = tuple(0.002 * 4.0**step for step in range(8))
"""How long batches may be kept open, where they are at all.

These three grids are coarse: ones of twice as many steps cost four times the time and find plans 0.5 to 1 % cheaper.
"""
OF_ITS_RUN = 0.25
"""Of the time that it runs, what a batch is kept open for at least, if at all."""
FULL = 0.95
"""A share of its size at which a batch is full enough: to keep it open for longer fills it no more."""

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
    servers: int
    """Instances that its times count on, if it serves the whole stage."""
    slot_s: float
    """Slots times seconds that a call takes of a device, its share of a batch as full as it is on average."""
    batch_s: float
    """Mean time of a full batch."""
    run_s: float
    """All calls of a request that are ready together, at the SLO's percentile, with the way there and back."""
    wait_s: float
    """From ready until begun: for others of its batch, and for an instance."""
    fill_s: float
    """The part of it for which a batch is kept open."""
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
    def slots(self) -> int:
        """Slots of its servers."""
        return self.servers * self.configuration.threads

    @property
    def name(self) -> str:
        """For people, unique in its stage and group."""
        return f"{self.variant.name} in batches of {self.batch}, {self.utilisation:.0%} busy, on {self.servers}"


def enumerate_options(task: Task) -> list[Option]:
    """Return every option of every stage that its device can run.

    Waits are those of a group that serves the whole stage and nothing else: where several stages share it they differ,
    which is for the trial of the plan to find out.
    """
    found: list[Option] = []
    for workload in task.workloads:
        known = curves(each for each in workload.profile.points if each.configuration.stage in workload.graph.stages)
        demands = {stage: workload.demand(stage) for stage in workload.graph.stages}
        for configuration, curve in known.items():
            stage = configuration.stage
            names = [variant.name for variant in workload.variants.of(stage)]
            if configuration.variant in names and configuration.threads >= 1:
                found += _options(task, workload, demands[stage], curve, configuration)
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
    item_bytes = workload.graph.input_bytes.get(configuration.stage, 0.0)
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
        for batch, open_s, size in _batches(curve, wanted, width, rate, workload.slo.latency_ms / 1e3):
            point = curve.at_least(batch)
            if kind.memory_bytes is not None and point.memory_bytes > kind.memory_bytes:
                continue
            run_s = curve.mean_ms[batch] / 1e3
            spread = (curve.quantile_ms(batch, 95) - curve.quantile_ms(batch, 50)) / 1.645 / curve.mean_ms[batch]
            mean_s, joules = _of_batch(curve, size)
            variation = together / (batch if open_s else size) + spread**2
            for utilisation in UTILISATIONS:
                least = min(most, max(1, math.ceil(rate * mean_s / size / utilisation)))
                for servers in (least, *(count for count in COUNTS if least < count <= most)):
                    rounds = math.ceil(width / (servers * batch))
                    done_s = (rounds - 1) * run_s + curve.quantile_ms(batch, percent) / 1e3
                    link_s = kind.link_s(min(width, batch) * item_bytes)
                    queueing = queue_s(run_s, servers, utilisation, 1 - percent / 100, variation)
                    yield Option(
                        stage=configuration.stage,
                        variant=variant,
                        configuration=configuration,
                        group=group,
                        batch=batch,
                        utilisation=utilisation,
                        servers=servers,
                        slot_s=configuration.threads * mean_s / size,
                        batch_s=run_s,
                        run_s=done_s + link_s,
                        wait_s=open_s + queueing,
                        fill_s=open_s,
                        energy_j=None if joules is None else joules / size,
                        memory_bytes=point.memory_bytes,
                        load_j=configuration.threads * watts * (point.load_ms + point.warm_up_ms) / 1e3,
                    )
                    if rounds == 1 and not queueing:  # more of them would change nothing
                        break


def _batches(
    curve: Curve, wanted: Demand, width: int, rate: float, most_s: float
) -> Iterator[tuple[int, float, float]]:
    """Give batches worth a look: the most calls, how long they are kept open, and how many calls they then have.

    Where a smaller batch takes all that is ready together, a larger one is worth it only if more is waited for.
    """
    group = wanted.mean / sum(wanted.sizes.values())
    sizes = _sizes(curve, width)
    for below, batch in zip((0, *sizes), sizes, strict=False):
        size = 0.0
        if below < width:
            size = at_once(batch, wanted.sizes)
            yield batch, 0.0, size
        for open_s in OPEN_S:
            if size >= FULL * batch or batch <= group or open_s > most_s:
                break
            if open_s >= OF_ITS_RUN * curve.mean_ms[batch] / 1e3:
                size = filled(batch, open_s, rate, group)
                yield batch, open_s, size


def _sizes(curve: Curve, width: int) -> list[int]:
    """Batch sizes, ascending: those measured, and between them what takes calls that are ready together in one or two.

    Eighteen calls are two batches of sixteen at most, the second nearly empty, but one of eighteen.
    """
    least, most = min(curve.points), max(curve.points)
    whole = (math.ceil(width / batches) for batches in (1, 2))
    return sorted({*curve.points, *(size for size in whole if least < size < most)})


def _of_batch(curve: Curve, size: float) -> tuple[float, float | None]:
    """Mean time and dynamic energy of batches of a size, whole or not."""
    below = math.floor(size)
    above, part = math.ceil(size), size - below
    joules = [curve.energy[at].joules for at in (below, above)]
    mean_s = ((1 - part) * curve.mean_ms[below] + part * curve.mean_ms[above]) / 1e3
    first, second = joules
    return mean_s, None if first is None or second is None else (1 - part) * first + part * second


def rounded(options: Sequence[Option], levels: Mapping[str, Sequence[float]]) -> list[Option]:
    """Round latencies up to the levels of their stage, in seconds and ascending; leave out what is slower than all."""
    found = []
    for option in options:
        of = levels[option.stage]
        at = bisect_left(of, option.latency_s * (1 - ROUNDING))
        if at < len(of):
            found.append(replace(option, wait_s=of[at] - option.run_s))
    return found


def undominated(options: Sequence[Option], task: Task) -> list[Option]:
    """Leave out options that another of the same stage and group is as good as, in every way that counts in a task.

    That is the energy of a call, the device time it needs, its servers, latency and memory, the variant's accuracy, and
    how long it keeps a device busy where that is an objective; where variants may differ in more, only options of one
    variant are compared. Of equals, the first stays.
    """
    busy = Objective.BUSY in task.objectives
    kinds: dict[tuple[str, Group, str], list[Option]] = defaultdict(list)
    for option in options:
        kinds[option.stage, option.group, option.variant.name if task.variants_differ else ""].append(option)
    return [kept for each in kinds.values() for kept in _front(each, busy=busy)]


def _front(options: Sequence[Option], *, busy: bool) -> Iterable[Option]:
    figures = np.array([(*_figures(each), each.slot_s if busy else 0.0) for each in options])
    # Whatever is as good as another comes before it in this order: the first of those left is beaten by none of them.
    left = np.lexsort(figures.T[::-1])
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(int(first))
        left = left[(figures[left] < figures[first]).any(axis=1)]
    return (options[at] for at in sorted(kept))


def _figures(option: Option) -> tuple[float, ...]:
    """What counts, the less the better. Energy that is unknown is unknown of all options that can be compared."""
    accuracy = option.variant.accuracy or 0.0
    joules = option.energy_j or 0.0
    return (joules, option.device_s, option.slots, option.latency_s, option.memory_bytes, -accuracy)
