"""What a policy sees: queues, free instances, estimates. Read-only; times in seconds."""

from collections.abc import Collection, Mapping, Sequence

from heterosis.scheduling.backlog import Backlog
from heterosis.scheduling.capacity import Capacity
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.pools import Pools
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import InstanceRecord
from heterosis.terms import Configuration, Plan


class View:
    """A window on a scheduler's state. Plain attributes, since policies look again and again; only `core` sets them."""

    __slots__ = ("_backlog_of", "_backlogs", "_pools", "capacity", "estimates", "instances", "now", "plan", "queues")

    plan: Plan
    """The plan in force."""
    capacity: Capacity
    """What follows from the plan alone."""
    estimates: Estimates
    """How long batches take, as far as is known by now."""

    def __init__(
        self,
        queues: Mapping[str, Queue],
        instances: Mapping[str, InstanceRecord],
        pools: Pools,
        backlogs: dict[tuple[str, ...], Backlog],
    ) -> None:
        """Look at these records."""
        self.now = 0.0
        self.queues = queues
        """The waiting calls of each stage that ever had one."""
        self.instances = instances
        """All instances by name, in whatever state."""
        self._backlogs = backlogs
        self._backlog_of: dict[str, Backlog] = {}
        self._pools = pools

    def adopt(self, plan: Plan, capacity: Capacity, estimates: Estimates) -> None:
        """Look at a new plan."""
        self.plan, self.capacity, self.estimates = plan, capacity, estimates
        self._backlog_of.clear()

    def backlog(self, pipeline: str) -> Backlog:
        """The work that the admitted requests which compete with a pipeline's are still expected to need."""
        found = self._backlog_of.get(pipeline)
        if found is None:
            found = self._backlogs.setdefault(self.capacity.domain(pipeline).pipelines, Backlog())
            self._backlog_of[pipeline] = found
        return found

    @property
    def busy_share(self) -> float:
        """Share of all slots that are taken."""
        return min(self._pools.busy / self.capacity.slots, 1.0)

    def can_take(self, instance: InstanceRecord) -> bool:
        """Whether an instance can take a batch now."""
        return self._pools.can_take(instance)

    def idle(self, configuration: Configuration) -> Collection[InstanceRecord]:
        """Instances of a configuration that hold no batch and whose slots are free."""
        return self._pools.idle[configuration].values()

    def spare(self, configuration: Configuration) -> Collection[InstanceRecord]:
        """Instances of a configuration that run a batch and may hold one more."""
        return self._pools.spare[configuration].values()

    def open(self, configuration: Configuration) -> bool:
        """Whether any instance of a configuration can take a batch, idle or spare."""
        return bool(self._pools.idle[configuration] or self._pools.spare[configuration])

    def ends(self, group: int) -> Sequence[tuple[float, str]]:
        """When the taken slots of a group are expected to be free, in order, and who has them.

        A time in the past belongs to a batch that takes longer than expected.
        """
        return self._pools.ends[group]
