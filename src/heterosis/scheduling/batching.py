"""Which waiting calls go along in a batch."""

from collections.abc import Sequence

from heterosis.scheduling.estimates import SAFE_PERCENT
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.scheduling.view import View

SPREAD = 1.05
"""How much longer calls may take in all, spread over idle instances, than in the fullest batches."""


def together(
    view: View,
    instance: InstanceRecord,
    first: tuple[CallRecord, float],
    others: Sequence[tuple[CallRecord, float]],
) -> list[CallRecord]:
    """Take along as many others as the most urgent can bear; each call with the time until its own deadline.

    But calls are first spread over idle instances (`_share`).
    """
    record, left = first
    calls, items = [record], record.call.size
    most = instance.placement.max_batch
    if most <= items or not others:
        return calls
    waited_for = view.capacity.fill_s.get(record.call.stage)
    share = most if waited_for else _share(view, instance, len(others) + 1, items)
    for each, left_s in others:
        items += each.call.size
        left = min(left, left_s)
        safe = view.estimates.quantile(instance.configuration, items, SAFE_PERCENT)
        if len(calls) >= share or items > most or safe > left:
            break
        calls.append(each)
    return calls


def _share(view: View, instance: InstanceRecord, calls: int, size: int) -> int:
    """Over as many idle instances as calls can be spread without taking `SPREAD` times as long in all: calls of each.

    ``size`` is taken for that of all of them.
    """
    fullest = min(max(instance.placement.max_batch // size, 1), calls)
    most = min(max(len(view.idle[instance.configuration]), 1), calls)
    mean = view.estimates.mean
    enough = SPREAD * mean(instance.configuration, fullest * size) / fullest
    for batches in range(most, 1, -1):
        share = -(-calls // batches)
        if share >= fullest or mean(instance.configuration, share * size) / share <= enough:
            return share
    return calls


def fills_until(view: View, stage: str, queue: Queue) -> float:
    """Until when the calls of a stage wait for a fuller batch: the plan allows them a time for it."""
    head, fill_s = queue.head, view.capacity.fill_s.get(stage, 0.0)
    if head is None or not fill_s or len(queue) >= view.capacity.full[stage]:
        return 0.0
    latest = head.priority[0] - fill_s  # past that, what was set aside for other waits is used up
    return min(head.since + fill_s, latest)
