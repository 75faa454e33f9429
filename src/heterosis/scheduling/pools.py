"""Which instances are free, and when the others will be."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.remembered import Remembered
from heterosis.scheduling.state import InstanceRecord, Unit
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Configuration, Placement


class Pools:
    """Which instances can take a batch now, kept up to date slot by slot."""

    def __init__(self) -> None:
        """Start without instances."""
        self.idle: dict[Configuration, dict[str, InstanceRecord]] = defaultdict(dict)
        self.spare: dict[Configuration, dict[str, InstanceRecord]] = defaultdict(dict)
        self.busy = 0
        """Slots that are taken; an instance without slots counts as one."""
        self.taken: dict[Place, str] = {}
        """The instance that occupies each taken slot."""
        self.running: dict[Unit, dict[str, int]] = defaultdict(dict)
        """Instances that run on each device, by power mode; never of two modes at a time."""
        self.ends: dict[int, list[tuple[float, str]]] = defaultdict(list)
        """When the slots of each group that are taken are expected to be free again, in order, with who has them."""
        self._sharers: dict[Place, dict[str, InstanceRecord]] = defaultdict(dict)
        self._on: dict[Unit, dict[str, InstanceRecord]] = defaultdict(dict)
        self._entangled: Remembered[Unit, bool] = Remembered(self._are_entangled)
        """Whether instances on a device shut each other out: they share slots, or are of several power modes."""
        self._held: dict[str, tuple[int, tuple[float, str]]] = {}
        """What stands in `ends` for each instance that runs: the group, and the entry."""

    def regroup(self, groups: Mapping[Configuration, int], instances: Iterable[InstanceRecord]) -> None:
        """Sort what runs into the groups of a new plan."""
        for instance in instances:
            if instance.batches:
                self.release(instance)
            instance.group = groups.get(instance.configuration, -1)
            if instance.batches:
                self.occupy(instance)

    def add(self, instance: InstanceRecord) -> None:
        """Know a new instance."""
        for place in instance.places:
            self._sharers[place][instance.name] = instance
        self._on[instance.unit][instance.name] = instance
        self._entangled.pop(instance.unit, None)
        self.refresh(instance)

    def remove(self, instance: InstanceRecord) -> None:
        """Forget an instance that holds no batch."""
        for place in instance.places:
            del self._sharers[place][instance.name]
        del self._on[instance.unit][instance.name]
        self._entangled.pop(instance.unit, None)
        self.idle[instance.configuration].pop(instance.name, None)
        self.spare[instance.configuration].pop(instance.name, None)

    def relabel(self, instance: InstanceRecord, placement: Placement) -> None:
        """Let an instance take another placement (see `InstanceRecord.may_become`); `regroup` follows."""
        for pool in (self.idle, self.spare):
            pool[instance.configuration].pop(instance.name, None)
        instance.place(placement)
        self.refresh(instance)

    def can_take(self, instance: InstanceRecord) -> bool:
        """Whether an instance can take a batch now."""
        name, configuration = instance.name, instance.configuration
        return name in self.idle[configuration] or name in self.spare[configuration]

    def occupy(self, instance: InstanceRecord) -> None:
        """Give an instance that was given its first batch its slots."""
        entry = (instance.batches[-1].expected_end, instance.name)
        self._held[instance.name] = (instance.group, entry)
        self.busy += len(instance.places) or 1
        for _ in instance.places or (None,):
            insort(self.ends[instance.group], entry)
        for place in instance.places:
            self.taken[place] = instance.name
        running, mode = self.running[instance.unit], instance.configuration.power_mode
        first = not running
        running[mode] = running.get(mode, 0) + 1
        self.refresh(instance)
        if self._entangled[instance.unit]:
            self._refresh_around(instance, mode_changed=first)

    def prolong(self, instance: InstanceRecord) -> None:
        """Note that an instance that keeps its slots holds other batches now, and so another end."""
        group, before = self._held[instance.name]
        entry = (instance.batches[-1].expected_end, instance.name)
        self._held[instance.name] = (group, entry)
        ends = self.ends[group]
        for _ in instance.places or (None,):
            del ends[bisect_left(ends, before)]
            insort(ends, entry)
        self.refresh(instance)

    def release(self, instance: InstanceRecord) -> None:
        """Take an instance off its slots."""
        group, entry = self._held.pop(instance.name)
        self.busy -= len(instance.places) or 1
        ends = self.ends[group]
        for _ in instance.places or (None,):
            del ends[bisect_left(ends, entry)]
        for place in instance.places:
            del self.taken[place]
        running, mode = self.running[instance.unit], instance.configuration.power_mode
        running[mode] -= 1
        last = not running[mode]
        if last:
            del running[mode]
        self.refresh(instance)
        if self._entangled[instance.unit]:
            self._refresh_around(instance, mode_changed=last)

    def refresh(self, instance: InstanceRecord) -> None:
        """Bring one instance up to date."""
        ready = instance.state is InstanceState.READY
        held = len(instance.batches)
        free = ready and not held and self.taken.keys().isdisjoint(instance.places)
        if free and (running := self.running[instance.unit]):
            free = instance.configuration.power_mode in running
        idle = self.idle[instance.configuration]
        if free:
            idle.setdefault(instance.name, instance)
        else:
            idle.pop(instance.name, None)
        if instance.depth > 1:
            spare = self.spare[instance.configuration]
            if ready and 0 < held < instance.depth:
                spare.setdefault(instance.name, instance)
            else:
                spare.pop(instance.name, None)

    def _refresh_around(self, instance: InstanceRecord, *, mode_changed: bool) -> None:
        """Bring up to date who shares slots with an instance, and who its device's power mode shuts out or lets in."""
        for place in instance.places:
            sharers = self._sharers[place]
            if len(sharers) > 1:
                for sharer in sharers.values():
                    self.refresh(sharer)
        if mode_changed:
            for other in self._on[instance.unit].values():
                if other.configuration.power_mode != instance.configuration.power_mode:
                    self.refresh(other)

    def _are_entangled(self, unit: Unit) -> bool:
        on = self._on[unit].values()
        shared = any(len(self._sharers[place]) > 1 for each in on for place in each.places)
        return shared or len({each.configuration.power_mode for each in on}) > 1
