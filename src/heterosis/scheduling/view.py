"""What a policy sees: queues, free instances, estimates. Read-only; times in seconds."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from heterosis.scheduling.backlog import Backlog
from heterosis.scheduling.capacity import Capacity
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.state import InstanceRecord, Queue
from heterosis.terms import Configuration, Plan

if TYPE_CHECKING:
    from heterosis.scheduling.core import Scheduler


class View:
    """A window on a scheduler's state."""

    def __init__(self, scheduler: "Scheduler") -> None:
        """Look at this scheduler."""
        self._scheduler = scheduler
        self.now = 0.0

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self._scheduler.plan

    @property
    def capacity(self) -> Capacity:
        """What follows from the plan alone."""
        return self._scheduler.capacity

    @property
    def estimates(self) -> Estimates:
        """How long batches take, as far as is known by now."""
        return self._scheduler.estimates

    @property
    def queues(self) -> Mapping[str, Queue]:
        """The waiting calls of each stage that ever had one."""
        return self._scheduler.queues

    @property
    def backlog(self) -> Backlog:
        """The work that the admitted requests are still expected to need."""
        return self._scheduler.backlog

    @property
    def busy_share(self) -> float:
        """Share of all slots that are taken."""
        scheduler = self._scheduler
        return min(scheduler.pools.busy / scheduler.capacity.slots, 1.0)

    @property
    def instances(self) -> Mapping[str, InstanceRecord]:
        """All instances by name, in whatever state."""
        return self._scheduler.instances

    def can_take(self, instance: InstanceRecord) -> bool:
        """Whether an instance can take a batch now."""
        return self._scheduler.pools.can_take(instance)

    def idle(self, configuration: Configuration) -> Collection[InstanceRecord]:
        """Instances of a configuration that hold no batch and whose slots are free."""
        return self._scheduler.pools.idle[configuration].values()

    def spare(self, configuration: Configuration) -> Collection[InstanceRecord]:
        """Instances of a configuration that run a batch and may hold one more."""
        return self._scheduler.pools.spare[configuration].values()

    def ends(self, group: int) -> Sequence[tuple[float, str]]:
        """When the taken slots of a group are expected to be free, in order, and who has them.

        A time in the past belongs to a batch that takes longer than expected.
        """
        return self._scheduler.pools.ends[group]
