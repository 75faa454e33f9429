"""Nexus: early drop. A window slides over the queue to the first call that can bear a whole batch.

Shen et al., "Nexus: A GPU Cluster Engine for Accelerating DNN-Based Video Analysis" (SOSP'19, §4.3 and 6.3). Serving
what is about to be late first makes batches small and everything late. Instead, when an instance can take a batch, a
window as long as its planned batch slides over the queue, first come first served, and stops at the first call whose
time left covers the run of the whole window. That window is run; the calls before it are dropped.

Each stage has its own share of the latency objective (the plan's budget), counted from the moment at which a call
begins to wait, and scaled where a request has another objective than the plan; but no call may take the time that must
be left for what follows its stage.

Departures: run times count at their 95th percentile; one central queue, where Nexus' front ends spread requests over
the queues of its back ends; on unlike machines a call before the window is dropped only if no other configuration
could run such a window in time either, and is else left to the others. Batch sizes and shares are the planner's.
"""

from collections.abc import Iterator, Sequence

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.policies.openings import first_opening, free_at
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

SAFE_PERCENT = 95


class Nexus:
    """The first window of calls that can bear its own length."""

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the call's deadline within its stage: the order of coming, where all have the same objective."""
        stage, request = record.call.stage, record.request
        latest = request.deadline - view.capacity.tails[stage]
        planned = next((each for each in view.plan.stages if each.stage == stage), None)
        if planned is None:
            return (latest,)
        scale = (request.deadline - request.arrival) / view.plan.slo.latency_ms
        return (min(view.now + planned.budget_ms * scale, latest),)

    def decide(self, view: View) -> Iterator[Decision]:
        """Slide over the queue of the stage whose head is due first, for an instance that can take a batch."""
        no_window: set[Configuration] = set()
        while (opening := first_opening(view, no_window)) is not None:
            stage, instance = opening
            before, window = _slide(view, stage, instance)
            for record, items in before:
                if not _fits_elsewhere(view, instance.configuration, record, items):
                    yield Drop(record, Refusal.LATE, f"too little time for a batch of {items} items")
            if window:
                yield Dispatch(instance, window, "the first window that is in time")
            else:
                no_window.add(instance.configuration)


def _slide(
    view: View, stage: str, instance: InstanceRecord
) -> tuple[list[tuple[CallRecord, int]], Sequence[CallRecord]]:
    """Find the first window that is in time, and the calls before it, each with the items of the window it heads."""
    start, configuration, most = free_at(view, instance), instance.configuration, instance.placement.max_batch
    calls = list(view.queues[stage])
    end = items = 0
    before: list[tuple[CallRecord, int]] = []
    for first, record in enumerate(calls):
        while end < len(calls) and (end <= first or items + calls[end].call.size <= most):
            items += calls[end].call.size
            end += 1
        if start + view.estimates.quantile(configuration, items, SAFE_PERCENT) <= record.priority[0]:
            return before, calls[first:end]
        before.append((record, items))
        items -= record.call.size
    return before, ()


def _fits_elsewhere(view: View, tried: Configuration, record: CallRecord, items: int) -> bool:
    """Whether another configuration, started now, would run so many items in time."""
    return any(
        view.now + view.estimates.quantile(each, items, SAFE_PERCENT) <= record.priority[0]
        for each in view.capacity.configurations[record.call.stage]
        if each != tried
    )
