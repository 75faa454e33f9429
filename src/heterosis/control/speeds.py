"""How fast each device really is: throttling, a noisy neighbour, a quota make batches take longer than profiled.

The measure is the median of the ratios of measured times to the profiled medians on a device over the last seconds:
one slow input moves it by nothing, and half a window tells of a change. It is compared with what the device is taken
for at present; a difference is acted upon that is large (`NOTICED`) and, by the spread of the ratios, more than chance
(`SIGMAS`), so that noise costs no plan.

Where all devices of a type are slower alike, the scheduler's own drift (`heterosis.scheduling.estimates`) corrects its
estimates, and the planner is given longer times. A device that is slower than others of its type is taken for another
type, ``orin-nx x1.95``: to planner and scheduler alike it is a kind of its own from then on, with figures of its own.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from heterosis.planning.fleet import Task, Workload
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.state import Unit
from heterosis.terms import Configuration, Device, Fleet, Latency, OperatingPoint, Placement, Plan

WINDOW_S = 8.0
"""What a device is judged by."""
MOST, FEWEST = 64, 8
"""Batches in that time, at the most and at the least."""
NOTICED = 1.25
"""Ratio of what is measured to what is assumed, either way, that is acted upon."""
SIGMAS = 4.0
"""Standard errors of the median, of the logarithms of ratios, that a difference must be larger than."""
NORMAL = 1.12
"""A device no further from its profile than this is taken for what it was profiled as."""
FORGOTTEN_S = 300.0
"""A device that nothing was measured on for so long is taken for normal again: how else would that be found out?"""
USUAL, OF_A_BATCH = 0.15, 0.02
"""How far logarithms of ratios are off at first, on average, and how much one batch counts in that."""
P95_SIGMAS = 1.645
"""Standard deviations from the median to the 95th percentile, where logarithms are normal."""
SHORT_S = 1e-3
"""Added to both times: that a batch of microseconds takes twice as long says nothing of its device."""
_MARK = " x"


class Speeds:
    """Follows the devices of a fleet. Factors are times as multiples of the profiled ones: 2 is half as fast."""

    def __init__(self, points: Iterable[OperatingPoint]) -> None:
        """Take the profile."""
        self.expect(points)
        self._ratios: dict[Unit, deque[tuple[float, float, float]]] = {}
        """Moments, logarithms of ratios, and the standard deviation that these have by the profile."""
        self._usual: dict[Unit, float] = {}
        """How far these usually are off, on average."""
        self.factors: dict[Unit, float] = {}
        """What each device is taken for; those taken for normal are left out."""

    def expect(self, points: Iterable[OperatingPoint]) -> None:
        """Take another profile, such as one of more devices."""
        self._expected = Estimates(points)

    def observe(self, unit: Unit, configuration: Configuration, items: int, run_s: float, now: float) -> None:
        """Take a batch."""
        on = profiled(configuration)
        expected_s, p95_s = (self._expected.quantile(on, items, percent) for percent in (50, 95))
        if expected_s > 0:
            ratio = math.log((run_s + SHORT_S) / (expected_s + SHORT_S))
            spread = math.log(p95_s / expected_s) / P95_SIGMAS
            self._ratios.setdefault(unit, deque(maxlen=MOST)).append((now, ratio, spread))
            usual = self._usual.get(unit, USUAL)
            off = abs(ratio - math.log(self.factors.get(unit, 1.0)))
            self._usual[unit] = usual + OF_A_BATCH * (off - usual)

    def changed(self, now: float) -> dict[Unit, tuple[float, float]]:
        """Return, and assume from now on, what differs by now: what a device was taken for, and what it is."""
        found: dict[Unit, tuple[float, float]] = {}
        for unit, ratios in self._ratios.items():
            before = self.factors.get(unit, 1.0)
            while len(ratios) > 1 and ratios[0][0] < now - WINDOW_S:
                ratios.popleft()
            if unit in self.factors and ratios[-1][0] < now - FORGOTTEN_S:
                found[unit] = (before, 1.0)
            elif len(ratios) >= FEWEST:
                logarithms = [ratio for _, ratio, _ in ratios]
                middle, spread = statistics.median(logarithms), statistics.fmean(each for _, _, each in ratios)
                error = self._error(unit, logarithms, spread)
                if abs(middle - math.log(before)) >= max(math.log(NOTICED), SIGMAS * error):
                    factor = math.exp(statistics.median(logarithms[-FEWEST:]))
                    found[unit] = (before, 1.0 if 1 / NORMAL <= factor <= NORMAL else factor)
        for unit, (_, factor) in found.items():
            self._ratios[unit] = deque(list(self._ratios[unit])[-1:], maxlen=MOST)
            self.factors[unit] = factor
            if factor == 1.0:
                del self.factors[unit]
        return found

    def corrected(self, task: Task) -> Task:
        """Return a task with devices as fast as they are."""
        of_types, own = self._split(task.fleet)
        if not of_types and not own:
            return task

        def taken_for(node: str, device: Device) -> Device:
            factor = own.get((node, device.name))
            if factor is None:
                return device
            return replace(device, type=replace(device.type, name=name_of(device.type.name, factor)))

        nodes = tuple(
            replace(node, devices=tuple(taken_for(node.name, device) for device in node.devices))
            for node in task.fleet.nodes
        )
        slow = {
            (device.type.name, factor)
            for node in task.fleet.nodes
            for device in node.devices
            if (factor := own.get((node.name, device.name))) is not None
        }

        def points(workload: Workload) -> Iterable[OperatingPoint]:
            for point in workload.profile.points:
                kind = point.configuration.device_type
                yield slowed(point, of_types.get(kind, 1.0))
                for name, factor in slow:
                    if name == kind:
                        yield _as_slow(point, factor)

        workloads = tuple(
            replace(each, profile=replace(each.profile, points=tuple(points(each)))) for each in task.workloads
        )
        return replace(task, fleet=Fleet(nodes=nodes), workloads=workloads)

    def relabelled(self, plan: Plan, fleet: Fleet) -> Plan:
        """Return a plan whose instances are those of the types that their devices are taken for, with their figures.

        Figures of whole types stay as profiled: the scheduler's drift has what they differ by already.
        """
        _, own = self._split(fleet)
        known = {profiled(point.configuration): [] for point in plan.points}  # type: dict[Configuration, list[OperatingPoint]]
        for point in plan.points:
            if point.configuration == profiled(point.configuration):
                known[point.configuration].append(point)

        def taken_for(placement: Placement) -> Placement:
            base = profiled(placement.configuration)
            factor = own.get((placement.node, placement.device))
            kind = base.device_type if factor is None else name_of(base.device_type, factor)
            return replace(placement, configuration=replace(base, device_type=kind))

        placements = tuple(map(taken_for, plan.placements))
        points = {(point.configuration, point.batch): point for of in known.values() for point in of}
        for placement in placements:
            factor = own.get((placement.node, placement.device))
            if factor is not None:
                for point in known[profiled(placement.configuration)]:
                    slow = _as_slow(point, factor)
                    points[slow.configuration, slow.batch] = slow
        return replace(plan, placements=placements, points=tuple(points.values()))

    def _error(self, unit: Unit, values: Sequence[float], spread: float) -> float:
        """Standard error of the median, as if values were normal: by their own spread, the usual or the profile's."""
        middle = statistics.median(values)
        own = 1.4826 * statistics.median(abs(value - middle) for value in values)
        return 1.2533 * max(own, 1.2533 * self._usual[unit], spread) / math.sqrt(len(values))

    def _split(self, fleet: Fleet) -> tuple[dict[str, float], dict[Unit, float]]:
        """Factors of whole types, and of devices that differ from their type."""
        if not self.factors:
            return {}, {}
        by_type: dict[str, dict[Unit, float]] = {}
        for node in fleet.nodes:
            for device in node.devices:
                unit = (node.name, device.name)
                if unit in self._ratios:
                    by_type.setdefault(device.type.name, {})[unit] = self.factors.get(unit, 1.0)
        of_types, own = {}, {}
        for name, factors in by_type.items():
            common = statistics.median_low(factors.values())
            if not 1 / NORMAL <= common <= NORMAL:
                of_types[name] = common
            for unit, factor in factors.items():
                if abs(math.log(factor / common)) >= math.log(NOTICED):
                    own[unit] = round(factor, 2)
        return of_types, own


def name_of(type_name: str, factor: float) -> str:
    """Name what a device of a type is taken for that takes so many times as long as it was profiled."""
    return f"{type_name}{_MARK}{factor:.2f}"


def profiled(configuration: Configuration) -> Configuration:
    """Return the configuration that was profiled, for one on a device that is taken for another type."""
    base, mark, _ = configuration.device_type.rpartition(_MARK)
    return replace(configuration, device_type=base) if mark else configuration


def slowed(point: OperatingPoint, factor: float) -> OperatingPoint:
    """Return an operating point of a device that takes so many times as long; its power is the same."""
    if factor == 1.0:
        return point
    latency = Latency(**{name: factor * getattr(point.latency, name) for name in Latency.__struct_fields__})
    return replace(point, latency=latency, dynamic_energy=point.dynamic_energy * factor)


def _as_slow(point: OperatingPoint, factor: float) -> OperatingPoint:
    kind = name_of(point.configuration.device_type, factor)
    return slowed(replace(point, configuration=replace(point.configuration, device_type=kind)), factor)
