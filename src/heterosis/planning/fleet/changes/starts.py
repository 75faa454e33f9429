"""What it takes to start instances on a device: time, joules, memory."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from heterosis.planning.fleet.allotment import on_power_w
from heterosis.planning.fleet.changes.contents import power_mode
from heterosis.planning.fleet.task import Kind, Task, Unit
from heterosis.terms import Configuration, OperatingPoint, Placement


class Starts:
    """Knows loads and warm-ups from operating points, devices from a task. Joules that are unknown count as none."""

    def __init__(self, task: Task, points: Iterable[OperatingPoint]) -> None:
        """Take both."""
        self._task = task
        self._kinds = {unit: number for number, kind in enumerate(task.kinds) for unit in kind.units}
        self._points: dict[Configuration, list[OperatingPoint]] = defaultdict(list)
        for point in points:
            self._points[point.configuration].append(point)

    def kind(self, unit: Unit) -> Kind:
        """What kind of device it is."""
        return self._task.kinds[self._kinds[unit]]

    def on_w(self, unit: Unit, mode: str) -> float | None:
        """What a device that is on in a power mode adds to the power of the fleet; None where unknown."""
        return on_power_w(self._task, (self._kinds[unit], mode))

    def load_s(self, placement: Placement, on: Unit | None = None) -> float:
        """Time to load an instance and warm it up, for the largest batches that it gets.

        On its own device, unless another is named; one that sleeps need not load what it has kept.
        """
        unit = placement.unit if on is None else on
        if placement.configuration in self.kept(unit):
            return 0.0
        took = (point.load_ms + point.warm_up_ms for point in self._usable(placement))
        return max(took, default=0.0) / 1e3

    def kept(self, unit: Unit) -> Collection[Configuration]:
        """What a device that sleeps has in memory."""
        return self._task.kept.get(unit, ())

    def load_j(self, unit: Unit, placement: Placement) -> float:
        """Energy of that, above idle: each of its slots draws its active power."""
        watts = self.kind(unit).device.dynamic_power_w(placement.configuration.power_mode) or 0.0
        return watts * max(len(placement.slots), 1) * self.load_s(placement, unit)

    def drain_s(self, placement: Placement) -> float:
        """Time in which an instance surely ends the batches that it holds."""
        return 2 * max((point.latency.p99_ms for point in self._usable(placement)), default=0.0) / 1e3

    def change_s(self, unit: Unit, old: Collection[Placement], new: Collection[Placement]) -> float:
        """Time to wake a device that hosted nothing, or to bring it into another power mode."""
        kind = self.kind(unit).type
        if not new:
            return 0.0
        if not old:
            return kind.wake_ms / 1e3
        return kind.switch_ms / 1e3 if power_mode(old) != power_mode(new) else 0.0

    def switch_j(self, unit: Unit, old: Collection[Placement], new: Collection[Placement]) -> float:
        """Energy of another power mode, above idle."""
        changes = old and new and power_mode(old) != power_mode(new)
        return self.kind(unit).type.switch_j or 0.0 if changes else 0.0

    def wake_j(self, unit: Unit, old: Collection[Placement], new: Collection[Placement]) -> float:
        """Energy of a device that hosted nothing until it is awake: its idle power."""
        kind = self.kind(unit)
        wakes = new and not old
        return (kind.device.idle_power_w(power_mode(new)) or 0.0) * kind.type.wake_ms / 1e3 if wakes else 0.0

    def beside(self, unit: Unit, old: Collection[Placement], new: Collection[Placement]) -> bool:
        """Whether a device can host both for a while: one power mode, and memory for every configuration."""
        memory = self.kind(unit).memory_bytes
        if set(old) <= set(new) or set(new) <= set(old):
            return True
        if power_mode(old) != power_mode(new):
            return False
        sizes = {each.configuration: self._memory_bytes(each) for each in (*old, *new)}
        return memory is None or sum(sizes.values()) <= memory

    def _memory_bytes(self, placement: Placement) -> int:
        return max((point.memory_bytes for point in self._usable(placement)), default=0)

    def _usable(self, placement: Placement) -> list[OperatingPoint]:
        return [point for point in self._points[placement.configuration] if point.batch <= placement.max_batch]
