"""The scheduling core: an event in, effects out.

Rules
-----
1. A request is admitted or refused when it arrives. An admitted request opens calls until it ends; one that comes with
   its only call ends with that, unless it is split.
2. A call waits centrally until the policy assigns it, in a batch, to an instance of its stage that can take one.
   The calls of a divisible request may be split: from then on their parts are calls of the request in their stead.
3. An instance is idle when it is ready, holds no batch, and none of its slots is taken. It may hold more than one
   batch only up to its depth (see `Capacity.depth`).
4. When an instance goes down, its calls wait again, and it is restarted, after a growing pause where it keeps failing.
   A call that saw `MAX_DEATHS` instances go down is poison and is dropped.
5. When a request ends, its waiting calls are dropped; those in a batch that an instance holds but does not run yet are
   left out of it; those in one that runs, run on, and nobody hears of them.
6. A device runs in one power mode at a time: an instance of another mode can take a batch only while it runs nothing.
7. A new plan starts what it adds, and stops what it leaves out as soon as that holds no batch. An instance that it only
   takes for one of another device type, as its device turned out to be slower, say, runs on under that name.

The core reads no clock, does no I/O and draws no randomness: the same events give the same effects, in the server, in
the simulator and in a replay.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from heterosis.scheduling.backlog import Backlog
from heterosis.scheduling.capacity import Capacity
from heterosis.scheduling.effects import (
    DropCall,
    Effect,
    Refusal,
    RefuseRequest,
    RunBatch,
    SetTimer,
    SkipCalls,
    SplitCall,
)
from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.events import (
    BatchDone,
    CallReady,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    RequestArrived,
    RequestEnded,
    TimerFired,
)
from heterosis.scheduling.instances import Instances
from heterosis.scheduling.policies import make_policy, successor
from heterosis.scheduling.policy import Dispatch, Drop, Split, Wake
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import BatchRecord, CallRecord, RequestRecord
from heterosis.scheduling.states import ASSIGNED, DONE, DROPPED, FAILED, SPLIT, WAITING, IllegalTransitionError
from heterosis.scheduling.view import View
from heterosis.terms import Call, Plan

MAX_DEATHS = 3


class Scheduler:
    """Decides everything that happens to requests and instances under a plan."""

    def __init__(self, plan: Plan) -> None:
        """Know a plan's figures; its instances start with the first `PlanChanged`."""
        self.requests: dict[str, RequestRecord] = {}
        self.queues: dict[str, Queue] = defaultdict(Queue)
        self._effects: list[Effect] = []
        self._do = self._effects.append
        self._planned = Instances(self._do)
        self.instances = self._planned.records
        self.batches = self._planned.batches
        self.pools = self._planned.pools
        self.backlogs: dict[tuple[str, ...], Backlog] = {}
        """By the pipelines of a `capacity.Domain`."""
        self.estimates = Estimates(())
        self._batch_count = 0
        self._wake_at: float | None = None
        self._now = 0.0
        self._undecided = True
        """Whether the policy is to be asked after the event that is being handled."""
        self.view = View(self.queues, self.instances, self.pools, self.backlogs)
        self._policy = make_policy(plan.policy)
        self._adopt(plan)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            RequestArrived: self._request_arrived,
            RequestEnded: self._request_ended,
            CallReady: self._call_ready,
            BatchDone: self._batch_done,
            InstanceReady: self._instance_ready,
            InstanceDown: self._instance_down,
            PlanChanged: self._plan_changed,
            TimerFired: self._timer_fired,
        }
        self._deciders: dict[type[Any], Callable[[Any], None]] = {
            Dispatch: self._dispatch,
            Drop: lambda drop: self._drop(drop.call, drop.kind, drop.reason),
            Split: self._split,
            Wake: self._wake,
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event, at a time (monotonic seconds) that never runs backwards; return what to do, in order."""
        if now < self._now:
            raise IllegalTransitionError(f"time ran backwards, from {self._now} to {now}")
        self._now = self.view.now = now
        self._effects.clear()
        self._undecided = True
        self._handlers[type(event)](event)
        if self._undecided:
            for queue in self.queues.values():
                if queue.waiting:
                    for decision in self._policy.decide(self.view):
                        self._deciders[type(decision)](decision)
                    break
        return self._effects.copy()

    # --- requests and calls

    def _request_arrived(self, event: RequestArrived) -> None:
        request, call = event.request, event.call
        no = self._policy.admit(self.view, request)
        if no is not None:
            self._undecided = not self._only_changes
            self._do(RefuseRequest(request=request.id, kind=no.kind, reason=no.reason, retry_after_s=no.retry_after_s))
            return
        work = self.capacity.request_work[request.pipeline, request.size]
        backlog = self.view.backlogs[request.pipeline]
        at = backlog.entered(request.deadline - request.arrival, work)
        owner = self.requests[request.id] = RequestRecord(request, backlog, at, work, single=call is not None)
        if call is None:
            self._undecided = not self._only_changes
        else:
            self._open(owner, call)

    def _request_ended(self, event: RequestEnded) -> None:
        record = self.requests.pop(event.request)
        record.backlog.ended(record.bin, record.work_left_s)
        self._undecided = not self._only_changes
        if not record.calls:
            return
        held: dict[int, list[str]] = {}
        for call in record.calls.values():
            if call.state is WAITING:
                self._undecided = True  # what was kept for it is there for others
                call.move(DROPPED)
                self.queues[call.call.stage].left(call)
            elif call.state is ASSIGNED and self.batches[call.batch].batches[0].id != call.batch:
                held.setdefault(call.batch, []).append(call.call.id)
        for batch, calls in held.items():
            instance = self.batches[batch].name
            self._do(SkipCalls(batch=batch, instance=instance, calls=tuple(calls), reason=f"request {event.outcome}"))

    def _call_ready(self, event: CallReady) -> None:
        self._undecided = not event.more
        self._open(self.requests[event.call.request], event.call)

    def _open(self, owner: RequestRecord, call: Call) -> None:
        record = owner.calls[call.id] = CallRecord(call, owner.request)
        self._wait(record)
        if not self.capacity.configurations[call.stage]:
            self._drop(record, Refusal.UNAVAILABLE, f"the plan has no instance for stage {call.stage!r}")

    def _wait(self, record: CallRecord) -> None:
        record.since = self._now
        record.priority = self._policy.priority(self.view, record)
        self.queues[record.call.stage].push(record)

    def _drop(self, record: CallRecord, kind: Refusal, reason: str) -> None:
        record.move(DROPPED)
        self.queues[record.call.stage].left(record)
        self._forget(record)
        self._do(DropCall(call=record.call.id, request=record.call.request, kind=kind, reason=reason))

    def _split(self, decision: Split) -> None:
        whole = decision.call
        if not whole.request.divisible or sum(decision.sizes) != whole.call.size or min(decision.sizes) < 1:
            raise IllegalTransitionError(
                f"policy {self.plan.policy!r} split call {whole.call.id} of {whole.call.size} items "
                f"into {decision.sizes}"
            )
        whole.move(SPLIT)
        self.queues[whole.call.stage].left(whole)
        self._forget(whole)
        calls = tuple(
            replace(whole.call, id=f"{whole.call.id}/{number}", size=size) for number, size in enumerate(decision.sizes)
        )
        whole.parts = tuple(CallRecord(call, whole.request) for call in calls)
        owner = self.requests[whole.call.request]
        owner.single = False
        for part in whole.parts:
            owner.calls[part.call.id] = part
            self._wait(part)
            part.since = whole.since
        self._do(SplitCall(call=whole.call.id, request=whole.call.request, parts=calls, reason=decision.reason))

    def _forget(self, record: CallRecord) -> None:
        owner = self.requests.get(record.call.request)
        if owner is not None:
            del owner.calls[record.call.id]

    # --- batches

    def _dispatch(self, decision: Dispatch) -> None:
        instance, records = decision.instance, tuple(decision.calls)
        if not self.pools.can_take(instance):
            raise IllegalTransitionError(f"policy {self.plan.policy!r} chose {instance.name}, which can take no batch")
        self._batch_count += 1
        queue = self.queues[instance.configuration.stage]
        size, calls = 0, []
        for record in records:
            record.move(ASSIGNED)
            record.batch = self._batch_count
            queue.left(record)
            size += record.call.size
            calls.append(record.call.id)
        begin = instance.until if instance.batches and instance.until > self._now else self._now
        run_s = self.estimates.mean(instance.configuration, size)
        self._planned.hold(instance, BatchRecord(self._batch_count, records, size, run_s, begin + run_s, self._now))
        self._do(
            RunBatch(
                batch=self._batch_count,
                instance=instance.name,
                calls=tuple(calls),
                reason=decision.reason,
            )
        )

    def _batch_done(self, event: BatchDone) -> None:
        instance = self.batches[event.batch]
        batch = instance.batches[0]
        if batch.id != event.batch:
            batch = instance.batches[1]  # it holds no more
        stage = instance.configuration.stage
        size, did = 0, 0.0
        for record in batch.calls:
            call = record.call
            needed = self.capacity.work[stage, call.size]
            if call.id not in event.skipped:
                size += call.size
                did += needed
            record.move(FAILED if call.id in event.failed else DONE)
            owner = self.requests.get(call.request)
            if owner is None:
                continue
            if owner.single:
                del self.requests[call.request]
                owner.backlog.ended(owner.bin, owner.work_left_s)
            else:
                done = min(needed, owner.work_left_s)
                owner.work_left_s -= done
                owner.backlog.worked(owner.bin, done)
                del owner.calls[call.id]
        if size:
            run_s, width = event.run_ms / 1e3, instance.width
            self.estimates.observe(instance.configuration, size, run_s)
            kept_s = (self._now - batch.begin) * width if self.queues[stage].waiting else None
            self.view.backlogs[batch.calls[0].request.pipeline].measured(did, run_s * width, kept_s)
        self._planned.done(instance, batch, self._now)

    # --- instances

    def _instance_ready(self, event: InstanceReady) -> None:
        self._planned.ready(event.instance)

    def _instance_down(self, event: InstanceDown) -> None:
        for record in self._planned.down(event.instance, event.reason, self._now):
            self._return(record, event.reason)

    def _return(self, record: CallRecord, reason: str) -> None:
        """Let a call of an instance that went down wait again, unless nobody wants it or it is to blame."""
        record.deaths += 1
        if record.call.request not in self.requests:
            record.move(DROPPED)
            return
        record.move(WAITING)
        self._wait(record)
        if record.deaths >= MAX_DEATHS:
            self._drop(record, Refusal.POISON, f"{record.deaths} instances went down while running it: {reason}")

    # --- timers

    def _timer_fired(self, event: TimerFired) -> None:
        kind, _, name = event.key.partition(":")
        if kind == "wake":
            self._wake_at = None
        else:
            self._planned.pause_is_over(name)

    def _wake(self, decision: Wake) -> None:
        # A timer that is due but has not gone off yet, as timers are late, will not be there for a later moment.
        if self._wake_at is None or self._wake_at <= self._now or decision.at < self._wake_at:
            self._wake_at = decision.at
            self._do(SetTimer(at=decision.at, key="wake", reason=decision.reason))

    # --- plans

    def _plan_changed(self, event: PlanChanged) -> None:
        wanted = {placement.instance: placement for placement in event.plan.placements}
        self._planned.relabel(wanted)
        self._adopt(event.plan)
        self._planned.follow(wanted, self.capacity)

    def _adopt(self, plan: Plan) -> None:
        self.plan = plan
        self.capacity = Capacity(plan)
        self.pools.regroup(self.capacity.group, self.instances.values())
        self.estimates = Estimates(plan.points, drift=self.estimates.drift)
        self.view.adopt(plan, self.capacity, self.estimates)
        self._count_anew()
        self._policy = successor(self._policy, plan.policy)
        self._only_changes: bool = getattr(self._policy, "only_changes", False)
        waiting = [record for queue in self.queues.values() for record in sorted(queue, key=lambda each: each.entry)]
        self.queues.clear()
        for record in waiting:
            since = record.since
            self._wait(record)
            record.since = since  # a batch is kept open no longer for a new plan

    def _count_anew(self) -> None:
        """Count the work of requests in progress where the new plan has it compete."""
        for record in self.requests.values():
            backlog = self.view.backlogs[record.request.pipeline]
            if backlog is not record.backlog:
                record.backlog.ended(record.bin, record.work_left_s)
                limit_s = record.request.deadline - record.request.arrival
                record.backlog, record.bin = backlog, backlog.entered(limit_s, record.work_left_s)
