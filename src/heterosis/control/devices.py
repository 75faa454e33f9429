"""The fleet as it is: which devices there are, how fast each is, which are held out, which sleep."""

from collections.abc import Mapping

from msgspec.structs import replace

from heterosis.control.change import PATIENCE, PATIENCE_S
from heterosis.control.decisions import Decisions
from heterosis.control.health import Health
from heterosis.control.rests import Rests
from heterosis.control.speeds import Speeds
from heterosis.control.telemetry import InstanceFigures
from heterosis.planning.fleet import Task
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.tuning.resting import sleeping_s
from heterosis.scheduling.state import Unit
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Fleet, OperatingPoint

SLOWER = "what runs is slower than it was planned as"

Instances = Mapping[str, InstanceFigures]


class Devices:
    """Follows the devices of a task; what it finds out is noted among the decisions."""

    def __init__(self, task: Task, decisions: Decisions) -> None:
        """Think well of all of them."""
        self.task = task
        """As asked for: the whole fleet, as profiled, at the rates that were expected."""
        self.health = Health()
        self.speeds = Speeds(_points(task))
        self._decisions = decisions
        self._starts = Starts(task, _points(task))
        self._rests = Rests(lambda unit, hosted: sleeping_s(self._starts, unit, tuple(hosted)))
        self._held: set[Unit] = set()

    def are(self, task: Task, now: float) -> bool:
        """Take another task, whose fleet is larger or smaller; tell whether it is."""
        before, after = _units(self.task.fleet), _units(task.fleet)
        if before == after:
            return False
        self.task = task
        self._starts = Starts(task, _points(task))
        self.speeds.expect(_points(task))
        said = [f"{_name(unit)} joined" for unit in after - before] + [f"{_name(unit)} left" for unit in before - after]
        self._decisions.note(now, "fleet", ", ".join(sorted(said)), urgent=True)
        return True

    def host(self, unit: Unit, instances: Instances, now: float, *, lost: bool = False) -> None:
        """Note that what a device hosts has changed; what it is left without is ``lost`` where the device failed."""
        if unit in _units(self.task.fleet):
            on = [each.placement for each in instances.values() if each.placement.unit == unit]
            self._rests.present(unit, on, now, lost=lost)

    def went_down(self, unit: Unit, reason: str, now: float) -> None:
        """Note that an instance went down unasked."""
        if self.health.went_down(unit, now) and not self._only(unit):
            self._decisions.note(now, "health", f"{_name(unit)} keeps failing: {reason}", urgent=True)

    def look_at_speeds(self, now: float) -> bool:
        """Note which devices turned out to be slower or faster than they were taken for; tell whether any did."""
        changed = self.speeds.changed(now)
        for unit, (before, after) in changed.items():
            reason = f"{_name(unit)} takes {after:.2f} times as long as profiled, before {before:.2f}"
            self._decisions.note(now, "speed", reason, urgent=True)
            self._decisions.must = self._decisions.must or (SLOWER if after > before else "")
        return bool(changed)

    def look_at_health(self, now: float, instances: Instances) -> bool:
        """Hold out devices that do not get their instances to run; tell whether some may be used again."""
        late = {
            each.placement.unit
            for each in instances.values()
            if each.state is InstanceState.STARTING
            and now > each.since + PATIENCE * self._starts.load_s(each.placement) + PATIENCE_S
        }
        for unit in late:
            if unit not in self.health.held_out(now) and not self._only(unit):
                self.health.hold_out(unit, now)
                reason = f"{_name(unit)} does not get its instances to run"
                self._decisions.note(now, "health", reason, urgent=True)
        held = self.health.held_out(now)
        free = self._held - held
        for unit in free:
            self._decisions.note(now, "health", f"{_name(unit)} may be used again")
        self._held = held
        return bool(free)

    def usable(self, now: float) -> Task:
        """The task on devices as they are, without those that are held out, unless nothing would be left."""
        held, task = self.health.held_out(now), self.task
        if held:
            nodes = tuple(
                replace(node, devices=tuple(each for each in node.devices if (node.name, each.name) not in held))
                for node in task.fleet.nodes
            )
            fleet = Fleet(nodes=nodes)
            task = replace(task, fleet=fleet) if fleet.devices else task
        return self.as_they_rest(self.speeds.corrected(task), now)

    def as_they_rest(self, task: Task, now: float) -> Task:
        """The task, with what sleeping devices have in memory."""
        return replace(task, kept=self._rests.asleep(now))

    def _only(self, unit: Unit) -> bool:
        return _units(self.task.fleet) == {unit}


def _points(task: Task) -> list[OperatingPoint]:
    return [point for each in task.workloads for point in each.profile.points]


def _units(fleet: Fleet) -> set[Unit]:
    return {(node.name, device.name) for node in fleet.nodes for device in node.devices}


def _name(unit: Unit) -> str:
    return "/".join(unit)
