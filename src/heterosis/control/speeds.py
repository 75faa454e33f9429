"""How fast each device really is: throttling, a noisy neighbour, a quota make batches take longer than profiled.

The measure is the median of the ratios of measured times to the profiled medians over the last seconds, of each stage
that runs there, a request counting once (`evidence`): one slow input moves it by nothing, and half a window tells of a
change. It is compared with what the device is taken for at present; a difference is acted upon that is large and, by
the spread of the ratios, more than chance, so that noise costs no plan.

Where all devices of a type are slower alike, the scheduler's own drift (`heterosis.scheduling.estimates`) corrects its
estimates, and the planner is given longer times. A device that is slower than others of its type is taken for another
type, ``orin-nx x1.95``: to planner and scheduler alike it is a kind of its own from then on, with figures of its own:
the profile's, times that factor, until it has been measured anew.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from heterosis.control.evidence import NOTICED, WINDOW_S, Evidence, verdict
from heterosis.planning.fleet import Task, Workload
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.state import Unit
from heterosis.terms import Configuration, Device, Fleet, Latency, OperatingPoint, Placement, Plan

NORMAL = 1.12
"""A device no further from its profile than this is taken for what it was profiled as."""
FORGOTTEN_S = 300.0
"""A device that nothing was measured on for so long is taken for normal again: how else would that be found out?"""
P95_SIGMAS = 1.645
"""Standard deviations from the median to the 95th percentile, where logarithms are normal."""
SHORT_S = 1e-3
"""Added to both times: that a batch of microseconds takes twice as long says nothing of its device."""
_MARK = " x"

Place = tuple[Configuration, int]
"""A configuration at a batch size."""
Measurements = Mapping[Place, OperatingPoint]


class Speeds:
    """Follows the devices of a fleet. Factors are times as multiples of the profiled ones: 2 is half as fast."""

    def __init__(self, points: Iterable[OperatingPoint]) -> None:
        """Take the profile."""
        self.expect(points)
        self._evidence: dict[Unit, dict[str, Evidence]] = {}
        """By stage."""
        self.factors: dict[Unit, float] = {}
        """What each device is taken for; those taken for normal are left out."""
        self._measured: dict[Unit, dict[Place, OperatingPoint]] = {}
        """What was measured anew of devices that are taken for slower or faster."""
        self._own: dict[Unit, Estimates] = {}
        """The same, to tell how long batches should take there."""

    def expect(self, points: Iterable[OperatingPoint]) -> None:
        """Take another profile, such as one of more devices."""
        self._expected = Estimates(points)

    def observe(
        self, unit: Unit, configuration: Configuration, items: int, run_s: float, request: str, now: float
    ) -> None:
        """Take a batch, of a request's calls (of several, one stands for all)."""
        on, assumed = profiled(configuration), self.factors.get(unit, 1.0)
        own = self._own.get(unit)
        measured = own is not None and own.mean(on, items) > 0
        expected = own if own is not None and measured else self._expected
        expected_s, p95_s = (expected.quantile(on, items, percent) for percent in (50, 95))
        if expected_s > 0:
            ratio = math.log((run_s + SHORT_S) / (expected_s + SHORT_S)) + (math.log(assumed) if measured else 0.0)
            spread = math.log(p95_s / expected_s) / P95_SIGMAS
            evidence = self._evidence.setdefault(unit, {}).setdefault(configuration.stage, Evidence())
            evidence.add(request, ratio, spread, math.log(assumed), now)

    def changed(self, now: float) -> dict[Unit, tuple[float, float]]:
        """Return, and assume from now on, what differs by now: what a device was taken for, and what it is."""
        found: dict[Unit, tuple[float, float]] = {}
        for unit, of in self._evidence.items():
            before = self.factors.get(unit, 1.0)
            for evidence in of.values():
                evidence.forget(now - WINDOW_S)
            if unit in self.factors and max(each.latest_at for each in of.values()) < now - FORGOTTEN_S:
                found[unit] = (before, 1.0)
                continue
            shifts = [shift for each in of.values() if (shift := each.shift()) is not None]
            found_log = verdict(shifts, math.log(before))
            if found_log is not None:
                factor = math.exp(found_log)
                found[unit] = (before, 1.0 if 1 / NORMAL <= factor <= NORMAL else factor)
        for unit, (_, factor) in found.items():
            self._take_for(unit, factor)
        return found

    def measured(self, unit: Unit, points: Collection[OperatingPoint]) -> float:
        """Take what was measured anew on a device, by the names of the profile; return what it is taken for now."""
        ratios = [
            math.log(point.latency.p50_ms / 1e3 / expected_s)
            for point in points
            if (expected_s := self._expected.quantile(point.configuration, point.batch, 50)) > 0
        ]
        factor = math.exp(statistics.median(ratios)) if ratios else self.factors.get(unit, 1.0)
        self._take_for(unit, 1.0 if 1 / NORMAL <= factor <= NORMAL else factor)
        if unit in self.factors:
            self._measured[unit] = {(point.configuration, point.batch): point for point in points}
            self._own[unit] = Estimates(points)
        return self.factors.get(unit, 1.0)

    def _take_for(self, unit: Unit, factor: float) -> None:
        for evidence in self._evidence.get(unit, {}).values():
            evidence.begin_anew()
        for known in (self.factors, self._measured, self._own):
            known.pop(unit, None)
        if factor != 1.0:
            self.factors[unit] = factor

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
        slow, alike = self._kinds(task.fleet, of_types, own)

        def points(workload: Workload) -> Iterable[OperatingPoint]:
            for point in workload.profile.points:
                kind = point.configuration.device_type
                place = (point.configuration, point.batch)
                yield alike.get(kind, {}).get(place) or slowed(point, of_types.get(kind, 1.0))
                for (name, factor), measured in slow.items():
                    if name == kind:
                        yield _as_slow(point, factor, measured)

        workloads = tuple(
            replace(each, profile=replace(each.profile, points=tuple(points(each)))) for each in task.workloads
        )
        return replace(task, fleet=Fleet(nodes=nodes), workloads=workloads)

    def _kinds(
        self, fleet: Fleet, of_types: Mapping[str, float], own: Mapping[Unit, float]
    ) -> tuple[dict[tuple[str, float], Measurements], dict[str, Measurements]]:
        """What was measured anew: of types that slow devices are taken for, and of types that are slower as a whole."""
        slow: dict[tuple[str, float], Measurements] = {}
        alike: dict[str, Measurements] = {}
        for node in fleet.nodes:
            for device in node.devices:
                unit, kind = (node.name, device.name), device.type.name
                measured = self._measured.get(unit, {})
                if unit in own:
                    slow[kind, own[unit]] = measured or slow.get((kind, own[unit]), {})
                elif kind in of_types:
                    alike[kind] = measured or alike.get(kind, {})
        return slow, alike

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
            factor = own.get(placement.unit)
            kind = base.device_type if factor is None else name_of(base.device_type, factor)
            return replace(placement, configuration=replace(base, device_type=kind))

        placements = tuple(map(taken_for, plan.placements))
        points = {(point.configuration, point.batch): point for of in known.values() for point in of}
        for placement in placements:
            factor = own.get(placement.unit)
            if factor is not None:
                for point in known[profiled(placement.configuration)]:
                    unit = placement.unit
                    slow = _as_slow(point, factor, self._measured.get(unit, {}))
                    points[slow.configuration, slow.batch] = slow
        return replace(plan, placements=placements, points=tuple(points.values()))

    def _split(self, fleet: Fleet) -> tuple[dict[str, float], dict[Unit, float]]:
        """Factors of whole types, and of devices that differ from their type."""
        if not self.factors:
            return {}, {}
        by_type: dict[str, dict[Unit, float]] = {}
        for node in fleet.nodes:
            for device in node.devices:
                unit = (node.name, device.name)
                if unit in self._evidence:
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


def _as_slow(point: OperatingPoint, factor: float, measured: Measurements) -> OperatingPoint:
    """Return an operating point of a device that is taken for a type of its own: as measured there, if it was."""
    configuration = point.configuration
    kind = name_of(configuration.device_type, factor)
    found = measured.get((configuration, point.batch)) or slowed(point, factor)
    return replace(found, configuration=replace(configuration, device_type=kind))
