"""What a policy sees: queues, free instances, estimates. Read-only; times in seconds."""

from collections.abc import Mapping, Sequence

from heterosis.scheduling.backlog import Backlog
from heterosis.scheduling.capacity import Capacity
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.pools import Pools
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.remembered import Remembered
from heterosis.scheduling.state import InstanceRecord
from heterosis.terms import Configuration, Plan


class View:
    """A window on a scheduler's state. Plain attributes, since policies look again and again; only `core` sets them."""

    __slots__ = (
        "_known",
        "backlogs",
        "capacity",
        "ends",
        "estimates",
        "idle",
        "instances",
        "now",
        "plan",
        "pools",
        "queues",
        "spare",
    )

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
        self.backlogs = Remembered(self._find_backlog)
        """By pipeline, the work that the admitted requests which compete with its own are still expected to need."""
        self.pools = pools
        """Which instances are free; what of it is looked at again and again is here, too."""
        self.idle: Mapping[Configuration, Mapping[str, InstanceRecord]] = pools.idle
        """Instances of a configuration, by name, that hold no batch and whose slots are free."""
        self.spare: Mapping[Configuration, Mapping[str, InstanceRecord]] = pools.spare
        """Instances of a configuration, by name, that run a batch and may hold one more."""
        self.ends: Mapping[int, Sequence[tuple[float, str]]] = pools.ends
        """When the taken slots of a group are expected to be free, in order, and who has them.

        A time in the past belongs to a batch that takes longer than expected.
        """
        self._known = backlogs

    def adopt(self, plan: Plan, capacity: Capacity, estimates: Estimates) -> None:
        """Look at a new plan."""
        self.plan, self.capacity, self.estimates = plan, capacity, estimates
        self.backlogs.clear()

    def _find_backlog(self, pipeline: str) -> Backlog:
        return self._known.setdefault(self.capacity.domains[pipeline].pipelines, Backlog())

    def can_take(self, instance: InstanceRecord) -> bool:
        """Whether an instance can take a batch now."""
        return self.pools.can_take(instance)
