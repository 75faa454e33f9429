"""Short cuts past the list, for the common cases: one call waits, or all are alike. They decide as the list would."""

from collections.abc import Sequence
from operator import attrgetter

from heterosis.scheduling.batching import together
from heterosis.scheduling.estimates import SAFE_PERCENT
from heterosis.scheduling.lister import cheapest, confined, unsure
from heterosis.scheduling.listing import LOOK, Offer
from heterosis.scheduling.outlook import Outlook
from heterosis.scheduling.policy import Dispatch
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

_deadline = attrgetter("request.deadline")


def alone(outlook: Outlook, view: View, queue: Queue) -> Sequence[Dispatch] | None:
    """Start the only call that waits, or let it wait on; the common case, and so a short cut past the list.

    None where the list has to tell.
    """
    record = queue.head
    assert record is not None  # noqa: S101
    capacity, stage, size = view.capacity, record.call.stage, record.call.size
    left = record.request.deadline - outlook.caution * capacity.tails[stage] - view.now
    among: Sequence[Configuration] = capacity.configurations[stage]
    if len(among) > 1:
        among = outlook.mixing.allowed(view, record)
    offers = []
    for configuration in among:
        if capacity.width[configuration] > 1:
            return None
        group, start = capacity.group[configuration], 0.0
        if not view.idle[configuration]:
            ends = view.ends[group]
            if not ends:
                continue
            start = max(ends[0][0] - view.now, 1e-9)
        times = view.estimates.times(configuration, size, SAFE_PERCENT)
        offers.append(Offer(configuration, outlook.price(group), start, *times))
    best = cheapest(outlook, view, offers, left, record)
    if best is None:
        return None
    if unsure(best, left) and (record.request.divisible or confined(view, offers, left + view.now - record.since)):
        return None
    pool = view.spare if best.start_s else view.idle
    instance = next(iter(pool[best.configuration].values()), None)
    if instance is None or (best.start_s and size < instance.placement.max_batch):
        return ()
    outlook.started(view, best.configuration, (record,), view.now + best.start_s + best.mean_s)
    return (Dispatch(instance, (record,), f"{round(left * 1e3)} ms left, alone"),)


def alike(outlook: Outlook, view: View, queue: Queue) -> Sequence[Dispatch] | None:
    """Start calls of one size and class that only one configuration can run, where one instance can take any.

    So it mostly is in a crowd. As the list would, in less time; None where that has to tell.
    """
    head = queue.head
    assert head is not None  # noqa: S101
    capacity, stage, size = view.capacity, head.call.stage, head.call.size
    among: Sequence[Configuration] = capacity.configurations[stage]
    if len(among) > 1:
        among = outlook.mixing.allowed(view, head)
    if not queue.alike or outlook.at_risk or outlook.without is not None or len(among) != 1:
        return None
    configuration = among[0]
    idle, spare = view.idle[configuration], view.spare[configuration]
    if not idle and queue.waiting * size < capacity.max_batch[configuration]:
        return ()  # what is bound in advance is bound in full batches
    if capacity.width[configuration] > 1 or len(idle) + len(spare) != 1:
        return None
    start = 0.0 if idle else max(view.ends[capacity.group[configuration]][0][0] - view.now, 1e-9)
    mean, safe = view.estimates.times(configuration, outlook.items(view, configuration, size), SAFE_PERCENT)
    late = outlook.caution * capacity.tails[stage] + view.now
    first = head if queue.in_order else min(queue.first(LOOK), key=_deadline)
    instance = next(iter((idle or spare).values()))
    left = first.request.deadline - late
    if not 0 < mean <= safe or left - start - safe < 0:
        return None
    most = instance.placement.max_batch
    calls = [first]
    if most > size:
        others = [(record, record.request.deadline - late) for record in sorted(queue.first(LOOK), key=_deadline)[1:]]
        calls = together(view, instance, (first, left), others)
    if start and len(calls) * size < most:
        return ()  # nothing is gained by binding it now, and others may come to go along
    outlook.started(view, configuration, calls, view.now + start + mean)
    return (Dispatch(instance, calls, f"{round(left * 1e3)} ms left, fits in 1 groups of slots"),)
