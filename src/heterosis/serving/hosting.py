"""What a router hosts, and under which plan: the part of a router that changes either.

What changes what runs, for whatever reason, is a change of the plan in force (`Hosting.change_plan`).
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from heterosis.engines.emulated import EmulatedEngine
from heterosis.scheduling import Event, PlanChanged, Scheduler
from heterosis.scheduling.states import InstanceState
from heterosis.serving.messages import Assignment
from heterosis.serving.statistics import Statistics
from heterosis.serving.values import encode
from heterosis.serving.workers import Brief
from heterosis.terms import OperatingPoint, Placement, Plan, Variant
from heterosis.terms.errors import StalePlanError, UnavailableError, UsageError
from heterosis.terms.joining import NOTHING, bare_name, between, key_of

log = structlog.get_logger()

MOST_FAILED_STARTS = 3

WarmUp = Callable[[Placement, Sequence[OperatingPoint]], Sequence[Sequence[tuple[Any, ...]]]]
"""Gives the batches of calls' arguments that an instance runs before it serves; the points tell how long they take."""

VariantFor = Callable[[Placement, Variant], Variant]


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that a router hosts: its stages by the names that they have in the plan, and what its workers need."""

    stages: tuple[str, ...]
    target: str
    """Where workers load it from."""
    warm_up: WarmUp
    statistics: Statistics
    variant_for: VariantFor | None = None
    """What the worker of a placement loads, where that is not the plan's variant as it is."""


class Hosting:
    """The pipelines that a router hosts, the plan in force, and which of its instances are ready."""

    def __init__(self) -> None:
        """Host nothing yet."""
        self.scheduler = Scheduler(NOTHING)
        self.hosted: Mapping[str, Hosted] = {}
        """By key."""
        self.emulated: frozenset[str] = frozenset()
        """Stages of which an instance only pretends: its answers are worth nothing but their times."""
        self.alive: Counter[str] = Counter()
        """Instances of each stage that are ready."""
        self._stages: dict[str, Hosted] = {}
        self._ready: dict[str, str] = {}
        """Instances that are, with their stage."""
        self._failed: dict[str, str] = {}
        """Why instances cannot load."""
        self._news = asyncio.Event()
        self._changing = asyncio.Lock()

    def _handle(self, event: Event) -> None:
        """Give the scheduler an event, and do as it says."""
        raise NotImplementedError

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.scheduler.plan

    def free_key(self, name: str) -> str:
        """Return a key for a pipeline of this name that nothing has, nor an instance that has yet to end."""
        taken = {*self.hosted, *(key_of(each.configuration.stage) for each in self.scheduler.instances.values())}
        numbered = (f"{name}@{number}" for number in itertools.count(2))
        return next(key for key in itertools.chain((name,), numbered) if key not in taken)

    async def change_plan(
        self,
        plan: Plan,
        *,
        since: Plan | None = None,
        hosted: Mapping[str, Hosted] | None = None,
        wait: bool = True,
        reason: str = "",
    ) -> None:
        """Put a plan in force, make before break: what it adds is ready before what it leaves out is drained.

        Return once everything added is ready; without ``wait``, put it in force at once, and leave it to the caller to
        wait (`wait_ready`). Changes wait for each other. ``hosted`` is what is hosted from then on, where that changes;
        ``reason`` is for the journal.

        Raise StalePlanError where the plan in force is no longer ``since``, which this one was made from; UsageError
        where it does not fit what is hosted or what runs; UnavailableError where an instance cannot load, and then the
        plan that was in force stays so.
        """
        async with self._changing:
            before, hosted_before = self.plan, self.hosted
            if since is not None and before is not since:
                raise StalePlanError("the plan in force has changed meanwhile; make the new one from that")
            hosted = hosted_before if hosted is None else hosted
            self._check(plan, hosted)
            await self._until(lambda: not self._ending(plan))
            self._host({**hosted_before, **hosted})
            known = {placement.instance for placement in before.placements}
            added = [placement for placement in plan.placements if placement.instance not in known]
            if wait and added:
                points = tuple(dict.fromkeys((*before.points, *plan.points)))
                self._put_in_force(between(before, plan, (*before.placements, *added), points), reason)
                try:
                    await self.wait_ready(placement.instance for placement in added)
                except BaseException:
                    self._host(hosted_before)
                    self._put_in_force(before, "what was added cannot load")
                    raise
            self._host(hosted)
            self._put_in_force(plan, reason)

    async def wait_ready(self, instances: Iterable[str] | None = None) -> None:
        """Wait until instances, by default all that are planned, are loaded and warm; raise where one cannot be."""
        wanted = {each.instance for each in self.plan.placements} if instances is None else set(instances)

        def ready() -> bool:
            for instance in wanted:
                if reason := self._failed.get(instance):
                    raise UnavailableError(f"instance {instance} cannot load: {reason}")
                record = self.scheduler.instances.get(instance)
                if record is not None and record.failures >= MOST_FAILED_STARTS and instance not in self._ready:
                    raise UnavailableError(f"instance {instance} ended {record.failures} times before it was ready")
            return self._ready.keys() >= wanted

        await self._until(ready)

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():
            self._news.clear()
            await self._news.wait()

    def _host(self, hosted: Mapping[str, Hosted]) -> None:
        self.hosted = hosted
        self._stages = {stage: each for each in hosted.values() for stage in each.stages}

    def _check(self, plan: Plan, hosted: Mapping[str, Hosted]) -> None:
        planned = {placement.configuration.stage for placement in plan.placements}
        needed = {stage for each in hosted.values() for stage in each.stages}
        if planned != needed:
            raise UsageError(
                f"the plan has instances of the stages {sorted(planned)}, but what is hosted has {sorted(needed)}: "
                "plan it anew"
            )
        for placement in plan.placements:
            record = self.scheduler.instances.get(placement.instance)
            if record is not None and not (record.placement == placement or record.may_become(placement)):
                raise UsageError(f"instance {placement.instance!r} runs with another placement; plan it by a new name")

    def _ending(self, plan: Plan) -> bool:
        """Whether an instance that a plan wants is on its way out: only once it is gone can it come again."""
        states = (self.scheduler.instances.get(placement.instance) for placement in plan.placements)
        return any(record is not None and record.state is InstanceState.STOPPING for record in states)

    def _put_in_force(self, plan: Plan, reason: str = "") -> None:
        emulated = frozenset(
            each.configuration.stage
            for each in plan.placements
            if plan.variant(each.configuration).engine == EmulatedEngine.name
        )
        if emulated - self.emulated:
            log.warning("some instances are emulated: their answers are worth nothing but their times")
        self.emulated = emulated
        self._handle(PlanChanged(plan=plan, reason=reason))

    def brief(self, placement: Placement) -> Brief:
        """What the worker of a placement is to be told."""
        configuration = placement.configuration
        hosted = self._stages[configuration.stage]
        batches = hosted.warm_up(placement, self.plan.points)
        variant = self.plan.variant(configuration)
        return Brief(
            assignment=Assignment(
                pipeline=hosted.target,
                stage=bare_name(configuration.stage),
                variant=variant if hosted.variant_for is None else hosted.variant_for(placement, variant),
                threads=configuration.threads,
            ),
            warm_up=encode([list(batch) for batch in batches]),
        )
