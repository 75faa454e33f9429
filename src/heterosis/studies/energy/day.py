"""One day of one competitor, simulated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heterosis.planning.fleet import price_per_hour
from heterosis.scheduling.queues import Queue
from heterosis.simulation import Occupancy, Power, Setting, Simulator
from heterosis.simulation.progress import Flight
from heterosis.studies.energy.carbon import joules_by_epoch
from heterosis.studies.energy.competitors import Competitor
from heterosis.studies.energy.control import EPOCHS, Course, bound_j, course, rates_of
from heterosis.studies.energy.setting import PIPELINES, arrivals, moments, pipeline


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a day. Joules are modelled: published power, simulated time."""

    requests: int
    attainment: float
    by_pipeline: dict[str, float]
    """Attainment of each."""
    accuracy: float
    """Mean over the requests, of the variants that their calls ran on."""
    least_over_floor: float
    """The smallest difference between a pipeline's accuracy and its floor."""
    joules: float
    parts: dict[str, float]
    """Idle, dynamic, switching and starting."""
    joules_by_epoch: tuple[float, ...]
    devices: float
    """Mean number that is on."""
    price_per_hour: float
    solve_s: float


class _Usage(Occupancy):
    """Counts the calls of each variant; of the trace itself it keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[str, str]] = Counter()

    def batch(self, flight: Flight, end: float, ended: str) -> None:  # noqa: ARG002 - the collector's interface
        configuration = flight.instance.placement.configuration
        self.calls[configuration.stage, configuration.variant] += len(flight.effect.calls)

    def drop(self, at: float, request: str, kind: str, reason: str) -> None:
        """Nothing to count."""

    def queues(self, at: float, queues: Mapping[str, Queue]) -> None:
        """Nothing to count."""


def play(competitor: Competitor, load: float, seed: int, margin: float, raises: Sequence[float] = ()) -> Day | None:
    """Plan and simulate a day (see `course`); None where there was no plan for part of it."""
    planned = course(competitor, load, seed, margin, raises)
    if planned is None:
        return None
    usage = _Usage()
    simulator = Simulator(
        planned.first,
        seed=seed,
        setting=Setting(
            power=Power(fleet=competitor.fleet, off_without_instances=competitor.power_off),
            plan_changes=planned.changes,
            occupancy=usage,
        ),
    )
    day = {name: moments(name, load, seed) for name in PIPELINES}
    outcome = simulator.run(arrivals(day, seed))
    records, joules = outcome.records, outcome.joules
    late = {name: float(records.violated[records.kinds == number].mean()) for name, number in records.classes.items()}
    accuracies = {name: _accuracy(name, usage.calls) for name in PIPELINES}
    count = {name: len(times) for name, times in day.items()}
    floors = {name: pipeline(name).slo.min_accuracy or 0.0 for name in PIPELINES}
    parts: dict[str, Any] = {
        "idle": joules.idle.joules,
        "dynamic": joules.dynamic.joules,
        "switching": joules.switching.joules,
        "starting": joules.starting.joules,
    }
    total = sum(parts.values())
    return Day(
        requests=len(records),
        attainment=outcome.attainment,
        by_pipeline={name: 1 - share for name, share in late.items()},
        accuracy=sum(accuracies[name] * count[name] for name in PIPELINES) / sum(count.values()),
        least_over_floor=min(accuracies[name] - floors[name] for name in PIPELINES),
        joules=total,
        parts=parts,
        joules_by_epoch=joules_by_epoch(planned, rates_of(day), parts, power_off=competitor.power_off),
        devices=sum(sum(each.devices().values()) for each in planned.allotments) / EPOCHS,
        price_per_hour=_price(planned),
        solve_s=planned.solve_s,
    )


def bounds(competitor: Competitor, load: float, seed: int) -> tuple[float, float]:
    """Joules of the day that nobody stays below: with devices that can be divided, and with whole ones."""
    rates = rates_of({name: moments(name, load, seed) for name in PIPELINES})
    return bound_j(competitor, rates, whole_devices=False), bound_j(competitor, rates, whole_devices=True)


def _accuracy(name: str, calls: Mapping[tuple[str, str], int]) -> float:
    total = 1.0
    for stage in pipeline(name).graph.stages:
        of = {variant.name: variant.accuracy or 0.0 for variant in pipeline(name).variants.of(stage)}
        ran = {variant: count for (where, variant), count in calls.items() if where == stage}
        total *= sum(count * of[variant] for variant, count in ran.items()) / max(sum(ran.values()), 1)
    return total


def _price(planned: Course) -> float:
    prices = map(price_per_hour, planned.tasks, planned.allotments)
    return sum(each or 0.0 for each in prices) / len(planned.tasks)
