"""How much of a load given instances can bear: a linear program over devices that host the same."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from heterosis.planning.curve import curves
from heterosis.planning.fleet.changes.contents import contents
from heterosis.planning.solver import Program
from heterosis.planning.wait import HIGHEST
from heterosis.terms import Configuration, OperatingPoint, Placement, Plan

Host = tuple[Configuration, int, int]
"""What an instance is to the load: its configuration, its batch, and how many slots it takes."""

Alike = tuple[tuple[Host, ...], int]
"""What tells devices apart: what they host, and on how many slots."""


class Headroom:
    """Knows what a call takes, from operating points."""

    def __init__(self, points: Iterable[OperatingPoint], load: Mapping[str, float]) -> None:
        """Take the calls per second of each stage that are to be borne."""
        self._curves = curves(points)
        self._load = {stage: per_s for stage, per_s in load.items() if per_s > 0}
        self._known: dict[frozenset[tuple[Alike, int]], float] = {}

    def of(self, placements: Iterable[Placement]) -> float:
        """Return by how much the load can be multiplied until these instances, in full batches, have no time left.

        Below 1 they cannot bear it; at 1.25 they are busy for 80 %. Infinite where there is no load.

        An instance runs a batch at a time, and those that name the same slots take turns.
        """
        on = contents(placements)
        devices = Counter((tuple(sorted(map(_host, of), key=str)), _slots(of)) for of in on.values())
        key = frozenset(devices.items())
        if key not in self._known:
            self._known[key] = self._solve(devices)
        return self._known[key]

    def _solve(self, devices: Mapping[Alike, int]) -> float:
        """Columns: the factor, then calls per second of each host on each set of devices that are alike."""
        if not self._load:
            return math.inf
        flows = [
            (number, host, instances)
            for number, (hosts, _) in enumerate(devices)
            for host, instances in Counter(hosts).items()
            if host[0].stage in self._load
        ]
        program = Program(np.zeros(len(flows) + 1), np.full(len(flows) + 1, math.inf), 0)
        served: dict[str, dict[int, float]] = {stage: {0: -per_s} for stage, per_s in self._load.items()}
        busy: list[dict[int, float]] = [{} for _ in devices]
        counts = list(devices.values())
        for column, (number, host, instances) in enumerate(flows, 1):
            configuration, _, width = host
            call_s = self.call_s(host)
            program.upper[column] = instances * counts[number] / call_s
            served[configuration.stage][column] = 1.0
            busy[number][column] = width * call_s
        for row in served.values():
            program.add(row, 0, 0)
        for row, ((_, slots), count) in zip(busy, devices.items(), strict=True):
            if row:
                program.add(row, upper=slots * count)
        cost = program.row()
        cost[0] = -1.0
        values = program.minimise(cost)
        return 0.0 if values is None else max(0.0, float(values[0]))

    def call_s(self, host: Host) -> float:
        """Time of an instance that a call takes in a full batch, in seconds."""
        configuration, batch, _ = host
        mean_ms = self._curves[configuration].mean_ms
        full = min(batch, len(mean_ms) - 1)
        return mean_ms[full] / full / 1e3


def needed(headroom: Headroom, *sets: Sequence[Placement]) -> float:
    """Return the headroom that there must be at any moment: no device busier than `HIGHEST`.

    Or no more than what each of these sets of instances has, where that is less.
    """
    return min(1 / HIGHEST, *(headroom.of(placements) for placements in sets))


def load_of(plan: Plan) -> dict[str, float]:
    """Calls per second of each stage that a plan is for."""
    return {stage.stage: stage.demand_per_s for stage in plan.stages}


def _host(placement: Placement) -> Host:
    return placement.configuration, placement.max_batch, max(len(placement.slots), 1)


def _slots(placements: Iterable[Placement]) -> int:
    """Slots of a device that its instances take; one without slots counts as one of its own."""
    named, own = set[int](), 0
    for placement in placements:
        named.update(placement.slots)
        own += not placement.slots
    return len(named) + own
