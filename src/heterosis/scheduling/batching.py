"""Which waiting calls go along in a batch."""

from collections.abc import Sequence

from heterosis.scheduling.lister import SAFE_PERCENT
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.scheduling.view import View


def together(
    view: View,
    instance: InstanceRecord,
    first: tuple[CallRecord, float],
    others: Sequence[tuple[CallRecord, float]],
) -> list[CallRecord]:
    """Take along as many others as the most urgent can bear; each call with the time until its own deadline.

    But calls are first spread over idle instances.
    """
    record, left = first
    calls, items = [record], record.call.size
    most = instance.placement.max_batch
    share = -(-(len(others) + 1) // max(len(view.idle(instance.configuration)), 1))
    if view.capacity.fill_s.get(record.call.stage):
        share = most  # batches were waited for
    for each, left_s in others if most > items else ():
        items += each.call.size
        left = min(left, left_s)
        safe = view.estimates.quantile(instance.configuration, items, SAFE_PERCENT)
        if len(calls) >= share or items > most or safe > left:
            break
        calls.append(each)
    return calls
