"""The loop in real time: tells a controller what happens, and does what it says.

The planner is elsewhere, in a process of its own; what takes milliseconds runs on a thread. The event loop that serves
waits for neither, and how long it was ever held up is measured.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import structlog

from heterosis.control import Account, Ask, Controller, Measure, NoPlanError, Proposal, PutInForce, Question, respond
from heterosis.launch.control import Offer
from heterosis.launch.gate import OUTSIDE
from heterosis.planning.fleet.joining import with_worker, without_worker
from heterosis.scheduling import Record
from heterosis.serving.rhythm import next_beat
from heterosis.serving.router import Router
from heterosis.serving.stalls import Stalls
from heterosis.terms import OperatingPoint, Plan
from heterosis.terms.errors import HeterosisError
from heterosis.terms.joining import joined, with_pipelines, without

log = structlog.get_logger()

TICK_S = 0.25


class Planner(Protocol):
    """Answers what the loop asks (`heterosis.workflow.replanning.PlannerProcess`)."""

    async def respond(self, question: Question) -> Proposal:
        """Plan. Raise HeterosisError where that cannot be."""
        ...


class Measurer(Protocol):
    """Measures devices anew while they serve."""

    async def measure(self, act: Measure) -> Sequence[OperatingPoint]:
        """Measure the configurations of a device; give points by the names of the profile.

        Raise HeterosisError where that fails.
        """
        ...


class Adaptation:
    """Keeps a router's plan fit for what comes."""

    def __init__(
        self,
        controller: Controller,
        planner: Planner,
        account: Account | None = None,
        *,
        measurer: Measurer | None = None,
        decides: bool = True,
    ) -> None:
        """Let a controller decide, and a planner plan; ``account`` counts joules where no meter can.

        ``measurer`` measures devices anew, where the controller asks for that. Where the controller does not decide, it
        only watches: the plan stays as it is.
        """
        self.controller, self.account, self.decides = controller, account, decides
        self.stalls = Stalls()
        """Of the event loop since this runs."""
        self.joules = None if account is None else account.joules(0.0)
        """What was counted up to the last tick."""
        self._planner, self._measurer = planner, measurer
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, record: Record) -> None:
        """Take a step of the scheduler."""
        told = self.controller.observe(record)
        if self.account is not None:
            self.account.observe(record, told)

    def joined(self, offer: Offer) -> None:
        """Let a worker from outside be planned with. Raise UsageError where no plan can use what it has."""
        task = with_worker(
            self.controller.task,
            offer.worker,
            OUTSIDE,
            stage=offer.stage,
            digest=offer.digest,
            device_type=offer.device_type,
            threads=offer.threads,
        )
        self.controller.fleet_changed(task, time.monotonic())

    def left(self, worker: str) -> None:
        """Plan without a worker from outside that is gone."""
        self.controller.fleet_changed(without_worker(self.controller.task, worker), time.monotonic())

    async def run(self, router: Router) -> None:
        """Adapt the router's plan until cancelled; what it hosts is loaded already."""
        await self._put(router, PutInForce(plan=self.controller.plan, reason="the plan of all of it together"))
        watching = asyncio.create_task(self.stalls.watch(lambda: bool(router.scheduler.requests or self._tasks)))
        try:
            while True:
                for act in self.controller.tick(time.monotonic()) if self.decides else ():
                    if isinstance(act, Ask):
                        self._spawn(self._ask(act.question))
                    elif isinstance(act, Measure):
                        self._spawn(self._measure(act))
                    else:
                        await self._put(router, act)
                if self.account is not None:
                    self.joules = self.account.joules(time.monotonic())
                await next_beat(TICK_S)
        finally:
            watching.cancel()
            for task in self._tasks:
                task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, question: Question) -> None:
        try:
            if question.retuning is None:
                proposal = await self._planner.respond(question)
            else:
                proposal = await asyncio.to_thread(respond, question, lambda _: None)
        except (HeterosisError, NoPlanError) as error:
            log.info("no plan", reason=str(error), asked=question.reason)
            self.controller.unanswered(question, str(error), time.monotonic())
        except Exception as error:  # what plans may fail; who serves goes on
            log.exception("the planner failed", asked=question.reason)
            self.controller.unanswered(question, f"the planner failed: {error}", time.monotonic())
        else:
            self.controller.answered(question, proposal, time.monotonic())

    async def _measure(self, act: Measure) -> None:
        try:
            if self._measurer is None:
                raise HeterosisError("nothing here can measure it")  # noqa: TRY301 - one way to say why
            points = await self._measurer.measure(act)
        except HeterosisError as error:
            log.info("device not measured", device=f"{act.node}/{act.device}", reason=str(error))
            self.controller.not_measured(act, str(error), time.monotonic())
        except Exception as error:  # what measures may fail; who serves goes on
            log.exception("measuring failed", device=f"{act.node}/{act.device}")
            self.controller.not_measured(act, f"it failed: {error}", time.monotonic())
        else:
            self.controller.measured(act, points, time.monotonic())

    async def _put(self, router: Router, act: PutInForce) -> None:
        before = router.plan
        log.info("plan changed", reason=act.reason, instances=len(act.plan.placements))
        try:
            await router.change_plan(_beside_others(act.plan, before), since=before, wait=False, reason=act.reason)
        except HeterosisError as error:
            log.warning("plan not changed", reason=str(error))
            self.controller.refused(router.plan, str(error), time.monotonic())


def _beside_others(plan: Plan, in_force: Plan) -> Plan:
    """Return a plan of the pipelines that the loop looks after, with the others that run as they are."""
    plan, others = with_pipelines(plan), in_force
    for each in plan.pipelines:
        others = without(others, each.pipeline)
    return joined(plan, others) if others.pipelines else plan
