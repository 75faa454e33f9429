"""The scheduler's own records: requests in progress, calls, batches, instances. Only `core` changes them."""

from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from heterosis.scheduling.backlog import Backlog
from heterosis.scheduling.capacity import Place, places
from heterosis.scheduling.states import (
    CALL_TRANSITIONS,
    INSTANCE_TRANSITIONS,
    CallState,
    IllegalTransitionError,
    InstanceState,
)
from heterosis.terms import Call, Configuration, Placement, Request

Priority = tuple[float, ...]
Unit = tuple[str, str]
"""A device, unique in the fleet: node, device."""


class CallRecord(msgspec.Struct, eq=False):
    """A call of a request in progress."""

    call: Call
    request: Request
    priority: Priority = ()
    state: CallState = CallState.WAITING
    entry: int = -1
    """Its number in the queue, a new one each time that it waits; -1 while it does not."""
    deaths: int = 0
    """Instances that went down while they ran it."""
    since: float = 0.0
    """When it began to wait."""
    batch: int = 0
    """The batch that it was put in last."""
    parts: tuple["CallRecord", ...] = ()
    """What it was split into."""

    def move(self, to: CallState) -> None:
        """Change state, legally."""
        if (self.state, to) not in CALL_TRANSITIONS:
            raise IllegalTransitionError(f"call {self.call.id}: {self.state.value} -> {to.value}")
        self.state = to


class RequestRecord(msgspec.Struct, eq=False):
    """A request in progress, with its open calls."""

    request: Request
    backlog: Backlog
    """Where its work is counted."""
    bin: float
    """And where there."""
    work_left_s: float
    """Slot time that it is still expected to need."""
    single: bool = False
    """Whether it ends with its first call."""
    calls: dict[str, CallRecord] = {}


class BatchRecord(msgspec.Struct, eq=False):
    """A batch on an instance."""

    id: int
    calls: tuple[CallRecord, ...]
    size: int
    """Items of all its calls: what its run time follows from."""
    expected_s: float
    """How long it is expected to run."""
    expected_end: float
    begin: float
    """When it was given to the instance, or the batch before it ended."""


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
    width: int = field(init=False)
    """How many these are; an instance without slots counts as one of its own."""
    unit: Unit = field(init=False)
    """The device that it runs on."""
    group: int = -1
    """Its group of interchangeable slots under the plan in force (see `Capacity.group`); -1 where that has none."""
    until: float = 0.0
    """When they are expected to be free again, as it stands in `Pools.ends`; has no meaning while it holds no batch."""

    def __post_init__(self) -> None:
        """Keep at hand what is asked for at every decision."""
        self.place(self.placement)

    def place(self, placement: Placement) -> None:
        """Take a placement for its own."""
        self.placement = placement
        self.name = self.placement.instance
        self.configuration = self.placement.configuration
        self.places = places(self.placement)
        self.width = len(self.places) or 1
        self.unit = self.placement.unit

    def may_become(self, placement: Placement) -> bool:
        """Whether it can take another placement without a new start: one that differs in nothing but the device type.

        What a device is taken for may change, as it gets hot, for example; the instance on it is the same.
        """
        configuration = replace(self.configuration, device_type=placement.configuration.device_type)
        return replace(self.placement, configuration=configuration) == placement

    def move(self, to: InstanceState) -> None:
        """Change state, legally."""
        if (self.state, to) not in INSTANCE_TRANSITIONS:
            raise IllegalTransitionError(f"instance {self.name}: {self.state.value} -> {to.value}")
        self.state = to
