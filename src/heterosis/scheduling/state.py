"""The scheduler's own records: requests in progress, calls, instances, queues, pools. Only `core` changes them."""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from heterosis.scheduling.capacity import Place, places
from heterosis.scheduling.states import CallState, InstanceState, check_call, check_instance
from heterosis.terms import Call, Configuration, Placement, Request

Priority = tuple[float, ...]
Unit = tuple[str, str]
"""A device, unique in the fleet: node, device."""


@dataclass(slots=True)
class CallRecord:
    """A call of a request in progress."""

    call: Call
    request: Request
    priority: Priority = ()
    state: CallState = CallState.WAITING
    entry: int = -1
    """Its number in the queue, a new one each time that it waits."""
    deaths: int = 0
    """Instances that went down while they ran it."""

    def move(self, to: CallState) -> None:
        """Change state, legally."""
        check_call(self.call.id, self.state, to)
        self.state = to


@dataclass(slots=True)
class RequestRecord:
    """A request in progress, with its open calls."""

    request: Request
    bin: int
    """Where its work is counted in the `Backlog`."""
    work_left_s: float
    """Slot time that it is still expected to need."""
    calls: dict[str, CallRecord] = field(default_factory=dict)


@dataclass(slots=True)
class BatchRecord:
    """A batch on an instance."""

    id: int
    calls: tuple[CallRecord, ...]
    size: int
    """Items of all its calls: what its run time follows from."""
    expected_end: float


@dataclass(slots=True)
class InstanceRecord:
    """A planned instance, with the batches that it holds: the one it runs first, then at most one more."""

    placement: Placement
    depth: int
    state: InstanceState = InstanceState.STARTING
    batches: list[BatchRecord] = field(default_factory=list)
    failures: int = 0
    """Times it went down without finishing a batch in between."""
    name: str = field(init=False)
    configuration: Configuration = field(init=False)
    places: tuple[Place, ...] = field(init=False)
    """The slots that it occupies while it runs a batch."""
    unit: Unit = field(init=False)
    """The device that it runs on."""
    group: int = -1
    """Its group of interchangeable slots under the plan in force (see `Capacity.group`); -1 where that has none."""

    def __post_init__(self) -> None:
        """Keep at hand what is asked for at every decision."""
        self.name = self.placement.instance
        self.configuration = self.placement.configuration
        self.places = places(self.placement)
        self.unit = (self.placement.node, self.placement.device)

    def move(self, to: InstanceState) -> None:
        """Change state, legally."""
        check_instance(self.name, self.state, to)
        self.state = to


_Entry = tuple[Priority, int, CallRecord]

SPARSE = 64
"""Entries of calls that left a queue, beyond as many as wait in it, that are kept before they are swept out."""


class Queue:
    """The calls of one stage that wait, by priority, then in order of arrival. Removal is lazy."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[_Entry] = []
        """In order. Of the entries before ``_start`` none waits any more."""
        self._start = 0
        self._sequence = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Calls that wait."""
        return self._waiting

    def push(self, record: CallRecord) -> None:
        """Add a waiting call."""
        record.entry = self._sequence
        insort(self._entries, (record.priority, record.entry, record), lo=self._start)
        self._sequence += 1
        self._waiting += 1

    def left(self) -> None:
        """Note that one call in the queue waits no more; its entry is skipped from now on."""
        self._waiting -= 1
        if len(self._entries) > 2 * self._waiting + SPARSE:
            self._entries = [entry for entry in self._entries if _waits(entry)]
            self._start = 0

    def head(self) -> CallRecord | None:
        """The first call that waits."""
        entries = self._entries
        while self._start < len(entries):
            entry = entries[self._start]
            if _waits(entry):
                return entry[2]
            self._start += 1
        return None

    def first(self, count: int) -> list[CallRecord]:
        """The first calls that wait, in order, at most ``count``."""
        return list(islice(self, count))

    def batch(self, max_items: int) -> list[CallRecord]:
        """The first calls that wait, in order: the very first, and as many more as fit in so many items."""
        head = self.head()
        if head is not None and head.call.size >= max_items:
            return [head]
        taken: list[CallRecord] = []
        items = 0
        for record in self:
            items += record.call.size
            if taken and items > max_items:
                break
            taken.append(record)
        return taken

    def __iter__(self) -> Iterator[CallRecord]:
        """All calls that wait, in order. Those that leave meanwhile are passed over, but none may be added."""
        entries = self._entries
        for position in range(self._start, len(entries)):
            entry = entries[position]
            if _waits(entry):
                yield entry[2]

    def __reversed__(self) -> Iterator[CallRecord]:
        """All calls that wait, the last first; as for the order itself, none may be added meanwhile."""
        entries = self._entries
        for position in range(len(entries) - 1, self._start - 1, -1):
            entry = entries[position]
            if _waits(entry):
                yield entry[2]


def _waits(entry: _Entry) -> bool:
    _, number, record = entry
    return record.state is CallState.WAITING and record.entry == number


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
        self.running: dict[Unit, Counter[str]] = defaultdict(Counter)
        """Instances that run on each device, by power mode; never of two modes at a time."""
        self.ends: dict[int, list[tuple[float, str]]] = defaultdict(list)
        """When the slots of each group that are taken are expected to be free again, in order, with who has them."""
        self._sharers: dict[Place, dict[str, InstanceRecord]] = defaultdict(dict)
        self._on: dict[Unit, dict[str, InstanceRecord]] = defaultdict(dict)
        self._modes: dict[Unit, Counter[str]] = defaultdict(Counter)
        self._held: dict[str, tuple[int, tuple[float, str]]] = {}
        """What stands in `ends` for each instance that runs: the group, and the entry."""

    def regroup(self, groups: Mapping[Configuration, int], instances: Iterable[InstanceRecord]) -> None:
        """Sort what runs into the groups of a new plan."""
        for instance in instances:
            self._unhold(instance)
            instance.group = groups.get(instance.configuration, -1)
            if instance.batches:
                self._hold(instance)

    def add(self, instance: InstanceRecord) -> None:
        """Know a new instance."""
        for place in instance.places:
            self._sharers[place][instance.name] = instance
        self._on[instance.unit][instance.name] = instance
        self._modes[instance.unit][instance.configuration.power_mode] += 1
        self.refresh(instance)

    def remove(self, instance: InstanceRecord) -> None:
        """Forget an instance that holds no batch."""
        for place in instance.places:
            del self._sharers[place][instance.name]
        del self._on[instance.unit][instance.name]
        modes = self._modes[instance.unit]
        modes[instance.configuration.power_mode] -= 1
        self._modes[instance.unit] = +modes
        self.idle[instance.configuration].pop(instance.name, None)
        self.spare[instance.configuration].pop(instance.name, None)

    def can_take(self, instance: InstanceRecord) -> bool:
        """Whether an instance can take a batch now."""
        return any(instance.name in pool[instance.configuration] for pool in (self.idle, self.spare))

    def occupy(self, instance: InstanceRecord) -> None:
        """Give an instance that was given its first batch its slots."""
        self._hold(instance)
        for place in instance.places:
            self.taken[place] = instance.name
        running = self.running[instance.unit]
        first = not running
        running[instance.configuration.power_mode] += 1
        self._refresh_around(instance, mode_changed=first)

    def prolong(self, instance: InstanceRecord) -> None:
        """Note that an instance that keeps its slots holds other batches now, and so another end."""
        self._unhold(instance)
        self._hold(instance)
        self.refresh(instance)

    def release(self, instance: InstanceRecord) -> None:
        """Take an instance off its slots."""
        self._unhold(instance)
        for place in instance.places:
            del self.taken[place]
        running = self.running[instance.unit]
        mode = instance.configuration.power_mode
        running[mode] -= 1
        last = not running[mode]
        if last:
            del running[mode]
        self._refresh_around(instance, mode_changed=last)

    def _hold(self, instance: InstanceRecord) -> None:
        entry = (instance.batches[-1].expected_end, instance.name)
        self._held[instance.name] = (instance.group, entry)
        self.busy += len(instance.places) or 1
        for _ in instance.places or (None,):
            insort(self.ends[instance.group], entry)

    def _unhold(self, instance: InstanceRecord) -> None:
        held = self._held.pop(instance.name, None)
        if held is None:
            return
        ends = self.ends[held[0]]
        self.busy -= len(instance.places) or 1
        for _ in instance.places or (None,):
            del ends[bisect_left(ends, held[1])]

    def refresh(self, instance: InstanceRecord) -> None:
        """Bring one instance up to date."""
        ready = instance.state is InstanceState.READY
        held = len(instance.batches)
        free = ready and not held and self.taken.keys().isdisjoint(instance.places)
        if free and (running := self.running[instance.unit]):
            free = instance.configuration.power_mode in running
        _keep(self.idle[instance.configuration], instance, wanted=free)
        if instance.depth > 1:
            _keep(self.spare[instance.configuration], instance, wanted=ready and 0 < held < instance.depth)

    def _refresh_around(self, instance: InstanceRecord, *, mode_changed: bool) -> None:
        """Bring up to date who shares slots with an instance, and who its device's power mode shuts out or lets in."""
        self.refresh(instance)
        for place in instance.places:
            sharers = self._sharers[place]
            if len(sharers) > 1:
                for sharer in sharers.values():
                    self.refresh(sharer)
        if mode_changed and len(self._modes[instance.unit]) > 1:
            for other in self._on[instance.unit].values():
                if other.configuration.power_mode != instance.configuration.power_mode:
                    self.refresh(other)


def _keep(pool: dict[str, InstanceRecord], instance: InstanceRecord, *, wanted: bool) -> None:
    if wanted:
        pool.setdefault(instance.name, instance)
    else:
        pool.pop(instance.name, None)
