"""Which instances are free, and when the others will be."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping

from heterosis.scheduling.remembered import Remembered
from heterosis.scheduling.rivals import Rivals
from heterosis.scheduling.state import InstanceRecord, Unit
from heterosis.scheduling.states import READY
from heterosis.terms import Configuration, Placement


class Pools:
    """Which instances can take a batch now, kept up to date one by one."""

    def __init__(self) -> None:
        """Start without instances."""
        self.idle: dict[Configuration, dict[str, InstanceRecord]] = defaultdict(dict)
        self.spare: dict[Configuration, dict[str, InstanceRecord]] = defaultdict(dict)
        self.busy = 0
        """Slots that are taken; an instance without slots counts as one."""
        self.ends: dict[int, list[tuple[float, str]]] = defaultdict(list)
        """When the slots of each group that are taken are expected to be free again, in order, with who has them."""
        self._on: dict[Unit, dict[str, InstanceRecord]] = defaultdict(dict)
        self._rivals: Remembered[Unit, Rivals | None] = Remembered(lambda unit: Rivals.among(self._on[unit].values()))

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
        self._on[instance.unit][instance.name] = instance
        self._rivals.pop(instance.unit, None)
        self.refresh(instance)

    def remove(self, instance: InstanceRecord) -> None:
        """Forget an instance that holds no batch."""
        del self._on[instance.unit][instance.name]
        self._rivals.pop(instance.unit, None)
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
        self.busy += instance.width
        instance.until = instance.batches[-1].expected_end
        ends = self.ends[instance.group]
        for _ in range(instance.width):
            insort(ends, (instance.until, instance.name))
        rivals = self._rivals[instance.unit]
        around = () if rivals is None else rivals.began(instance)
        self.refresh(instance)
        for each in around:
            self.refresh(each)

    def prolong(self, instance: InstanceRecord) -> None:
        """Note that an instance that keeps its slots holds other batches now, and so may have another end."""
        end = instance.batches[-1].expected_end
        if end != instance.until:
            ends = self.ends[instance.group]
            for _ in range(instance.width):
                del ends[bisect_left(ends, (instance.until, instance.name))]
                insort(ends, (end, instance.name))
            instance.until = end
        if instance.depth > 1:
            self._refresh_spare(instance)

    def release(self, instance: InstanceRecord) -> None:
        """Take an instance off its slots."""
        self.busy -= instance.width
        ends = self.ends[instance.group]
        for _ in range(instance.width):
            del ends[bisect_left(ends, (instance.until, instance.name))]
        rivals = self._rivals[instance.unit]
        around = () if rivals is None else rivals.ended(instance)
        self.refresh(instance)
        for each in around:
            self.refresh(each)

    def refresh(self, instance: InstanceRecord) -> None:
        """Bring one instance up to date."""
        free = instance.state is READY and not instance.batches
        if free and (rivals := self._rivals[instance.unit]) is not None:
            free = rivals.let(instance)
        if free:
            self.idle[instance.configuration].setdefault(instance.name, instance)
        else:
            self.idle[instance.configuration].pop(instance.name, None)
        if instance.depth > 1:
            self._refresh_spare(instance)

    def _refresh_spare(self, instance: InstanceRecord) -> None:
        if instance.state is READY and 0 < len(instance.batches) < instance.depth:
            self.spare[instance.configuration].setdefault(instance.name, instance)
        else:
            self.spare[instance.configuration].pop(instance.name, None)
