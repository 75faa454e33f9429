"""Loki: calls are routed to the most accurate variants up to what these carry; requests that fall behind speed up.

Ahmad et al., "Loki: A System for Serving ML Inference Pipelines with Hardware and Accuracy Scaling" (HPDC'24):

- MostAccurateFirst: each second, from the demand smoothed over 20 s, the most accurate variant of a stage is given as
  much as its instances carry, then the next one.
- A call is bound to a variant when it begins to wait, and to an instance of it when that is free.
- A stage's budget is twice the latency of a full batch: it may wait for one, and run in one.
- Dropping: ``none``; at the ``last_task``, what would be late; ``per_task``, what would exceed its stage's budget; or
  ``opportunistic`` rerouting: a call with less time left than its variant's budget goes to the most accurate variant
  that makes up for it and has capacity left; and what would be late at the last stage is dropped.

Departures: all calls of a stage follow one table, whichever variant their parents ran on; demand starts from what the
plan expects; what is beyond all variants is spread by what they carry; a budget stretches with a request's own
objective; an instance that shares its slots carries its part; and a call that no variant makes up for is dropped only
if it could not end in time even at once: Loki's plans fit the budgets into the objective, those here need not. How many
instances there are of which variant is the planner's business.
"""

from collections.abc import Iterator
from enum import StrEnum

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.policies.loki_table import Table, Variant
from heterosis.scheduling.policies.openings import free_at, openings
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View
from heterosis.terms import Request

REFRESH_S = 1.0
BUDGET_BATCHES = 2
"""Full batches that a stage's budget has time for."""


class Dropping(StrEnum):
    """Which calls are given up."""

    NONE = "none"
    LAST_TASK = "last_task"
    PER_TASK = "per_task"
    OPPORTUNISTIC = "opportunistic"


class Loki:
    """Most accurate first; four ways of dropping."""

    def __init__(self, dropping: Dropping = Dropping.OPPORTUNISTIC) -> None:
        """Know no stage yet."""
        self._dropping = dropping
        self._tables: dict[str, Table] = {}
        self._lost: list[CallRecord] = []
        self._refresh_at = 0.0

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By arrival of the request; the call joins the line of a variant."""
        stage = record.call.stage
        table = self._tables.get(stage)
        if table is None:
            table = self._tables[stage] = Table(view, stage)
        table.demand.count(view.now, record.call.size)
        self._bind(view, table, record)
        return (record.request.arrival,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Drop what fell behind for good, then serve each variant's line, the earliest request first."""
        if view.now >= self._refresh_at:
            self._refresh_at = view.now + REFRESH_S
            for table in self._tables.values():
                table.fill(view)
                for record in table.stranded():
                    self._bind(view, table, record)
        for record in self._lost:
            if record.state is CallState.WAITING:
                yield Drop(record, Refusal.LATE, "no variant makes up for the time that was lost")
        self._lost.clear()
        while True:
            choices = [
                (head.priority, variant, instance)
                for stage, table in self._tables.items()
                for variant in table.variants
                if (head := variant.head()) is not None
                for instance in openings(view, stage, variant.name)
            ]
            if not choices:
                return
            _, variant, instance = min(choices, key=lambda choice: choice[0])
            late, batch = self._form(view, variant, instance)
            for record in late:
                yield Drop(record, Refusal.LATE, "would be late at the last task, or beyond its stage's budget")
            if batch:
                yield Dispatch(instance, batch, f"routed to {variant.name}")

    def _bind(self, view: View, table: Table, record: CallRecord) -> None:
        """Put a call in the line of the variant whose turn it is, or of one that makes up for lost time."""
        if not table.variants:
            return
        variant = table.due()
        request = record.request
        if self._dropping is Dropping.OPPORTUNISTIC:
            left = request.deadline - view.capacity.tails[record.call.stage] - view.now
            if BUDGET_BATCHES * variant.batch_s > left:
                faster = (each for each in table.variants if each.has_left and BUDGET_BATCHES * each.batch_s <= left)
                variant = next(faster, variant)
            if _alone_s(view, record, variant) > left:
                self._lost.append(record)
                return
        stretch = (request.deadline - request.arrival) / (view.plan.slo.latency_ms / 1e3)
        variant.line.append((record, view.now + BUDGET_BATCHES * variant.batch_s * stretch))

    def _form(
        self, view: View, variant: Variant, instance: InstanceRecord
    ) -> tuple[list[CallRecord], list[CallRecord]]:
        """Take a batch off a variant's line; return the calls that are given up, and the batch."""
        most = instance.placement.max_batch
        late: list[CallRecord] = []
        batch: list[CallRecord] = []
        items = 0
        finish = free_at(view, instance) + view.estimates.mean(instance.configuration, variant.items(most))
        while (head := variant.head()) is not None and (not batch or items + head.call.size <= most):
            _, end = variant.line.popleft()
            if self._is_late(view, head, finish, end):
                late.append(head)
            else:
                batch.append(head)
                items += head.call.size
        return late, batch

    def _is_late(self, view: View, record: CallRecord, finish: float, budget_end: float) -> bool:
        match self._dropping:
            case Dropping.NONE:
                return False
            case Dropping.PER_TASK:
                return finish > budget_end
            case Dropping.LAST_TASK | Dropping.OPPORTUNISTIC:
                last = not view.capacity.tails[record.call.stage]
                return last and finish > record.request.deadline


def _alone_s(view: View, record: CallRecord, variant: Variant) -> float:
    """How long a call takes by itself on the fastest configuration of a variant."""
    stage = record.call.stage
    found = [each for each in view.capacity.configurations[stage] if each.variant == variant.name]
    return min((view.estimates.mean(each, record.call.size) for each in found), default=0.0)
