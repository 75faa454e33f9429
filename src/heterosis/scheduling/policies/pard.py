"""PARD: a call is dropped before it runs where what it spent and what is still to come add up to too much.

"PARD: Enhancing Goodput for Inference Pipeline via ProActive Request Dropping" (2026). Two ideas of it stand here:

- Proactive drop on an estimate of both sides: the time that the request has spent, the run of the batch that the call
  would be part of, and what is still to come downstream: runs, and waiting at a tuned quantile. Other systems count
  what was spent only, and drop a request after several of its stages have run in vain.
- An adaptive order: the least time left goes first under normal load; beyond capacity the most time left does, since
  what has little is lost anyway, and would take what has more down with it.

The description that we worked from gives no formulas, so the details are our reconstruction: runs count at their 95th
percentile and follow from the plan downstream (its tail); the wait downstream is a quantile of those seen in the last
seconds at each stage with a shorter tail, of stages with the same tail the longest, as if the stages were a chain;
load is the rate of calls times the slot time that they took lately, over all slots. Waiting for a batch to be full has
no place here, since instances start at once. On unlike machines a call that another configuration would run in time is
left to that one.
"""

from collections import defaultdict, deque
from collections.abc import Iterator

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.policies.openings import first_opening, free_at
from heterosis.scheduling.policies.rate import Rate
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

SAFE_PERCENT = 95
HORIZON_S = 5.0
"""How far back waits and rates are remembered."""
WAITS = 100
"""Waits of each stage that are remembered at most."""
WAIT_QUANTILE = 0.9
"""Of the waits seen at a stage downstream, the one that is reckoned with; tuned on a chain of three stages."""
OVERLOAD = 1.1
"""The load beyond which the order is turned round."""
SMOOTHING = 0.05
"""Weight of one batch in the slot time of a call."""


class Pard:
    """Drops on what was spent and what is to come; least time left first, most time left first in overload."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._waits: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=WAITS))
        """When calls of each stage began to run, and how long they had waited."""
        self._rates: dict[str, Rate] = defaultdict(lambda: Rate(HORIZON_S))
        self._slot_s: dict[str, float] = {}
        """Slot time that a call of each stage took lately."""

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the request's deadline; then the moment from which the call waits."""
        self._rates[record.call.stage].count(view.now)
        return (record.request.deadline, view.now)

    def decide(self, view: View) -> Iterator[Decision]:
        """Form batches for what is free, the stage of the earliest deadline first; drop what would be late."""
        passed: set[Configuration] = set()
        while (opening := first_opening(view, passed)) is not None:
            stage, instance = opening
            hopeless, batch = self._form(view, stage, instance)
            for record in hopeless:
                yield Drop(record, Refusal.LATE, "too little time for this stage and those that follow")
            if batch:
                self._note(view, instance, batch)
                yield Dispatch(instance, batch, "enough time for this stage and those that follow")
            else:
                passed.add(instance.configuration)

    def load(self, view: View) -> float:
        """Slot time that is asked for, over that which there is."""
        asked = sum(rate.per_s(view.now) * self._slot_s.get(stage, 0.0) for stage, rate in self._rates.items())
        return asked / view.capacity.slots

    def _form(self, view: View, stage: str, instance: InstanceRecord) -> tuple[list[CallRecord], list[CallRecord]]:
        """Go through the queue for a batch; return the calls that are hopeless, and the batch."""
        queue, most = view.queues[stage], instance.placement.max_batch
        planned = sum(record.call.size for record in queue.batch(most))
        start, downstream = free_at(view, instance), self._downstream(view, stage)
        batch: list[CallRecord] = []
        hopeless: list[CallRecord] = []
        items = 0
        overload = self.load(view) > OVERLOAD
        if overload:
            hopeless += self._lost(view, stage, downstream)
        lost = {id(record) for record in hopeless}
        for record in reversed(queue) if overload else queue:
            size = record.call.size
            if batch and items + size > most:
                break
            if id(record) in lost:
                continue
            left = record.request.deadline - downstream
            if start + _run_s(view, instance.configuration, max(planned, size)) <= left:
                batch.append(record)
                items += size
            elif not _fits_elsewhere(view, instance.configuration, record, left):
                hopeless.append(record)
        return hopeless, batch

    def _lost(self, view: View, stage: str, downstream: float) -> list[CallRecord]:
        """List the first calls that no configuration would run in time, even alone and at once."""
        lost = []
        for record in view.queues[stage]:
            if _fits_elsewhere(view, None, record, record.request.deadline - downstream):
                break
            lost.append(record)
        return lost

    def _downstream(self, view: View, stage: str) -> float:
        """Tell what a call of a stage has still before it when it is done: runs, and waits."""
        tails = view.capacity.tails
        tail = tails[stage]
        waits: dict[float, float] = {}
        for other, its in tails.items():
            if its < tail:
                waits[its] = max(waits.get(its, 0.0), self._wait(view, other))
        return tail + sum(waits.values())

    def _wait(self, view: View, stage: str) -> float:
        waits = self._waits[stage]
        while waits and waits[0][0] < view.now - HORIZON_S:
            waits.popleft()
        found = sorted(wait for _, wait in waits)
        return found[int(WAIT_QUANTILE * len(found))] if found else 0.0

    def _note(self, view: View, instance: InstanceRecord, batch: list[CallRecord]) -> None:
        """Learn from a batch that is about to run."""
        stage, configuration = instance.configuration.stage, instance.configuration
        start = free_at(view, instance)
        self._waits[stage] += [(view.now, start - record.priority[1]) for record in batch]
        run = view.estimates.mean(configuration, sum(record.call.size for record in batch))
        each = run * max(len(instance.places), 1) / len(batch)
        before = self._slot_s.get(stage, each)
        self._slot_s[stage] = before + SMOOTHING * (each - before)


def _fits_elsewhere(view: View, tried: Configuration | None, record: CallRecord, left: float) -> bool:
    """Whether a configuration other than the one tried would end a call, alone and started now, by a time."""
    return any(
        view.now + _run_s(view, each, record.call.size) <= left
        for each in view.capacity.configurations[record.call.stage]
        if each != tried
    )


def _run_s(view: View, configuration: Configuration, items: int) -> float:
    return view.estimates.quantile(configuration, items, SAFE_PERCENT)
