"""One run: plans over time, under arrivals whose cars follow the detectors in force; and what it was worth.

How many cars a frame has depends on the detector that sees it, but a simulated request has its calls from the start. So
each arrival draws the detector by the shares of the plan that holds then, and has as many cars as that one finds. What
really ran is counted: each request's accuracy is that of the variants that served it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from heterosis.planning.fleet import Allotment
from heterosis.scheduling.queues import Queue
from heterosis.simulation import Arrival, Occupancy, Outcome, Power, Setting, Simulator
from heterosis.simulation.progress import Flight
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.setting import CLASSIFY, DETECT, MODELS, fleet, frame
from heterosis.terms import Plan

Timeline = Sequence[tuple[float, Allotment, Plan]]
"""From when on each plan holds; the first from 0."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    attainment: float
    accuracy: float
    """By Loki's measure, the mean over the answered requests."""
    recall_accuracy: float
    """Share of the cars that the best detector finds that were found, and told right, of the answered requests."""
    joules_per_request: float
    """Of each answered request; idle power included, modelled."""
    devices: float
    """Servers that were on, the mean over time."""
    p99_ms: float
    """Infinite where more than a hundredth was not answered."""
    requests: int


def simulate(published: Published, times: Sequence[float], timeline: Timeline, seed: int) -> Run:
    """Simulate arrivals at these moments."""
    arrivals = _arrivals(published, times, timeline, seed)
    used = Used()
    changes = [(at, plan) for at, _, plan in timeline[1:]]
    setting = Setting(power=Power(fleet=fleet()), plan_changes=changes, occupancy=used)
    outcome = Simulator(timeline[0][2], seed=seed, setting=setting).run(arrivals)
    return _summed(published, outcome, used, timeline)


def detectors(found: Allotment) -> dict[str, float]:
    """Calls per second that each detector is meant to serve."""
    shares: dict[str, float] = defaultdict(float)
    for host in found.hosted(DETECT):
        shares[host.option.variant.model] += host.per_s
    return dict(shares)


def _arrivals(published: Published, times: Sequence[float], timeline: Timeline, seed: int) -> list[Arrival]:
    rng = np.random.default_rng([seed, 1])
    starts = [at for at, _, _ in timeline]
    shares = [detectors(found) for _, found, _ in timeline]
    frames = {cars: frame(cars) for cars in range(int(max(published.cars.values())) + 2)}
    arrivals = []
    for at, (which, rounding) in zip(times, rng.random((len(times), 2)), strict=True):
        of = shares[bisect_right(starts, at) - 1]
        edges = np.cumsum(list(of.values()))
        model = list(of)[int(np.searchsorted(edges / edges[-1], which, side="right"))]
        arrivals.append(Arrival(at, frames[int(published.cars[model] + rounding)]))
    return arrivals


class Used(Occupancy):
    """Told of every batch: the variants that served each request (see `Setting.occupancy`)."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.calls: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._gone: set[str] = set()

    def batch(self, flight: Flight, end: float, ended: str) -> None:  # noqa: ARG002 - as the simulator tells it
        """Note the variant of each call."""
        configuration = flight.instance.placement.configuration
        ran = (configuration.stage, configuration.variant.split("/")[0])
        for record in flight.calls:
            if record.request.id not in self._gone:
                self.calls[record.request.id].append(ran)

    def drop(self, at: float, request: str, kind: str, reason: str) -> None:  # noqa: ARG002
        """Forget a request that was given up."""
        self.calls.pop(request, None)
        self._gone.add(request)

    def queues(self, at: float, queues: Mapping[str, Queue]) -> None:
        """Leave the queues alone."""


def _summed(published: Published, outcome: Outcome, used: Used, timeline: Timeline) -> Run:
    measured, recalled = [], []
    for calls in used.calls.values():
        detector = next(model for stage, model in calls if stage == DETECT)
        told = [MODELS[CLASSIFY][model] for stage, model in calls if stage == CLASSIFY]
        right = float(np.mean(told)) if told else 1.0
        measured.append(MODELS[DETECT][detector] * right)
        recalled.append(published.recall(detector) * right)
    joules = outcome.joules.total.joules
    assert joules is not None  # noqa: S101 - every point and every mode has its figures
    ends = [*(at for at, _, _ in timeline[1:]), outcome.duration_s]
    on = [(end - at) * sum(found.devices().values()) for (at, found, _), end in zip(timeline, ends, strict=True)]
    return Run(
        attainment=outcome.attainment,
        accuracy=float(np.mean(measured)) if measured else 0.0,
        recall_accuracy=float(np.mean(recalled)) if recalled else 0.0,
        joules_per_request=joules / max(len(measured), 1),
        devices=sum(on) / outcome.duration_s,
        p99_ms=outcome.latency_ms(99),
        requests=outcome.requests,
    )
