"""Ours: late binding, feasible first, the scarce first, and each call where its time is cheapest.

- A call's deadline is its request's, less the time that must be left for what follows its stage (the plan's tail).
- A call is hopeless when not even the fastest configuration, started now, would meet its request's deadline on average,
  in parts where it is divisible; it is dropped at once, so that it costs nothing more. A request is refused at its
  arrival when the work already admitted, of the pipelines that it shares slots with, spread over these, leaves it no
  time; where slots are of one kind, that is as good as certain, and what is admitted is hardly ever dropped later.
- The waiting calls are listed, on paper, on the groups of slots that could run them, each from the time at which a slot
  gets free. Calls that fit before their deadlines in fewer places go first; among equals the one with the least slack,
  the shorter the sooner. Fitting is judged at the 95th percentile of the run time; a call that fits nowhere so surely
  is given its chance where it fits on average, while the SLO is not at risk or its class pays for the others.
- Each goes where it costs least: its time, and the time it waits for the slot, at the price of that slot (see
  `prices`), and its joules. With little to do joules decide, under pressure time does.
- What is listed to start now is started; the rest waits, bound to nothing, and is listed anew at the next event. So a
  slot that only some calls can use is left free for them rather than filled with what others will soon have time for.
- A batch is as large as lets its most urgent call meet its deadline, but calls are first spread over idle instances, as
  far as that costs little (`batching`): a request with a wide fan-out is done sooner on all of them. In a crowd a call
  must bear a full batch, lest the most urgent shrink every batch; and the more calls are dropped on the way, the more
  time is left for what follows.
- Calls that only one group could surely run from the start, and that would have to wait for it or might be late there,
  go where the fewest misses are to be expected: their own, by the chances on either group, and those of calls like them
  that will then find more work ahead. So the few slots are left to those for whom the many are no chance.
- A divisible call that no instance, begun now, would surely end in time may be split, into as few parts as would be in
  time on idle instances of one configuration. What that costs is weighed with the other choices: of all the slots it
  takes the time, and any of the parts may be late.
- While clearly fewer requests miss their deadlines than the SLO allows, nobody is displaced. Once it is at risk, a call
  that fits nowhere takes the place of a longer one of its stage: as many as possible are in time (Moore, "An n job, one
  machine sequencing algorithm for minimizing the number of late jobs", Management Science 15(1), 1968).
- Where several classes of requests miss deadlines, those that miss more of them go sooner.
- An instance that runs a batch is handed the next one in advance, to hide the hop, only where that one is full: until
  the first has ended, more calls may come to go along.
- Where the plan keeps batches open, calls wait for a full one for as long as it says, their deadlines permitting. Where
  a stage mixes variants, a less accurate one runs only as often as more accurate ones have earned it (`mixing`), and
  classes of requests that have a floor of their own earn for themselves.

``heterosis:without_PART`` leaves out one of the parts that `PARTS` names, to see what it is worth.

The time of a decision grows with waiting calls (at most `LOOK` of a stage are listed) and configurations, not with
instances.

Sources: late binding with deadlines less downstream time as in PARD; early refusal as in Clockwork (OSDI'20, section
4.2); opportunity cost in place of the fixed coefficients of KAIROS (HPDC'23, section 5); large queries split as in
DeepRecSys (Gupta et al., ISCA'20), but only where the whole would be late, and only then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from heterosis.scheduling.admission import too_late
from heterosis.scheduling.batching import fills_until, together
from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.lister import list_calls
from heterosis.scheduling.listing import NO_HURRY, Choice, Entry, Ticket
from heterosis.scheduling.outlook import Outlook
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse, Split, Wake
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.shortcuts import alike, alone
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View
from heterosis.terms import Call, Configuration, Request

PARTS = {
    "displacement": "who fits nowhere never takes the place of a longer call",
    "fairness": "all classes of requests weigh the same",
    "last_chance": "a call that does not fit at the 95th percentile is not tried at the mean",
    "odds": "who fits in one group of slots alone goes where it is cheapest, not where the fewest misses are expected",
    "prices": "a second costs the same on all slots",
    "reserve": "no slot is left free for those that need it more",
    "scarcity": "calls go by their slack alone, however many places they fit in",
    "splitting": "a call always runs whole, however many slots are free",
}
"""What can be left out, and what happens then."""


class Heterosis:
    """Feasible first, the scarce first, at the least cost of time and joules."""

    only_changes = True
    """See `Policy`."""

    def __init__(self, without: str | None = None) -> None:
        """Know nothing of the load yet; ``without`` is one of `PARTS`."""
        self._outlook = Outlook(without)

    def inherit(self, before: "Heterosis") -> None:
        """Take over what was learnt under the plan before."""
        self._outlook.inherit(before._outlook)  # noqa: SLF001 - of its own kind

    def admit(self, view: View, request: Request) -> Refuse | None:
        """Refuse what the work already admitted leaves no time for."""
        refuse = too_late(view, request)
        if refuse is not None:
            self._outlook.fairness.note(request.request_class, missed=True)
        return refuse

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest time at which the fastest configuration could start it."""
        call, request, capacity = record.call, record.request, view.capacity
        deadline = request.deadline - capacity.tails[call.stage]
        self._outlook.ready(view, record, deadline)
        if request.divisible and self._outlook.without != "splitting":
            return (deadline - _fastest_in_parts(view, call),)
        fastest = capacity.fastest[call.stage, call.size]
        return (deadline - (0.0 if fastest is None else view.estimates.mean(fastest, call.size)),)

    def decide(self, view: View) -> Iterable[Decision]:
        """Drop hopeless heads, list the rest, and start what is listed to start now."""
        capacity = view.capacity
        for stage, queue in view.queues.items():
            head = queue.head
            if head is not None and (stage in capacity.fill_s or view.now > head.priority[0] + capacity.tails[stage]):
                return self._sift(view)
        return self._start(view, view.queues.values())

    def _sift(self, view: View) -> Iterator[Decision]:
        """Drop the heads that are too late even for the fastest; start the rest, but what waits for a fuller batch."""
        waiting, filling = [], []
        for stage, queue in view.queues.items():
            tail = view.capacity.tails[stage]
            while (head := queue.head) is not None and view.now > head.priority[0] + tail:
                self._outlook.dropped(view, head)
                yield Drop(head, Refusal.LATE, f"would end {(view.now - head.priority[0] - tail) * 1e3:.0f} ms late")
            until = fills_until(view, stage, queue)
            if until > view.now:
                filling.append(until)
            else:
                waiting.append(queue)
        if filling:
            yield Wake(min(filling), "what waits for a fuller batch then goes as it is")
        yield from self._start(view, waiting)

    def _start(self, view: View, queues: Iterable[Queue]) -> Iterable[Decision]:
        """Start what is to start now: by a short cut where one call waits, or all are alike, else by the list.

        Asked at most events, so without detours.
        """
        waiting, open_now = [], False
        for queue in queues:
            head = queue.head
            if head is not None:
                waiting.append(queue)
                for each in view.capacity.configurations[head.call.stage]:
                    if view.idle[each] or view.spare[each]:
                        open_now = True
                        break
        if not open_now:
            return ()
        short: Sequence[Dispatch] | None = None
        if len(waiting) == 1:
            queue = waiting[0]
            short = (alone if queue.waiting == 1 else alike)(self._outlook, view, queue)
        if short is None:
            return self._list(view, waiting)
        return short if short or view.pools.busy else _look_again(view, waiting)

    def _list(self, view: View, waiting: Sequence[Queue]) -> Iterator[Decision]:
        tickets, entries = list_calls(self._outlook, view, waiting)
        starting = {entry.ticket.number: entry.choice.configuration for entry in entries if not entry.start_s}
        vacated = False
        for entry in entries:
            ticket, choice = entry.ticket, entry.choice
            if ticket.record.state is not CallState.WAITING:
                vacated |= not entry.start_s
                continue  # a batch took it along
            if choice.parts > 1:
                if len(view.idle[choice.configuration]) >= choice.parts:  # else others took some: it waits
                    self._outlook.started(view, choice.configuration, (ticket.record,), view.now + choice.mean_s)
                    yield from _in_parts(view, ticket, choice)
                continue
            instance = _instance(view, entry)
            if instance is None:
                continue
            others = _others(self._outlook, view, entry, tickets, starting) if instance.placement.max_batch > 1 else []
            calls = together(view, instance, (ticket.record, ticket.left_s), others)
            if entry.start_s and sum(each.call.size for each in calls) < instance.placement.max_batch:
                continue  # nothing is gained by binding it now, and others may come to go along
            self._outlook.started(view, choice.configuration, calls, view.now + entry.start_s + choice.mean_s)
            places = "may be late" if ticket.rank in {0, NO_HURRY} else f"fits in {ticket.rank} groups of slots"
            yield Dispatch(instance, calls, f"{ticket.left_s * 1e3:.0f} ms left, {places}")
        if vacated:  # there is more room than the list knew of
            yield from self._start(view, waiting)
        if not view.pools.busy:
            yield from _look_again(view, waiting)


def _look_again(view: View, waiting: Sequence[Queue]) -> Iterator[Wake]:
    """Be asked again once one of those that wait is hopeless, as no batch will end and bring the next event."""
    left = [head for queue in waiting if (head := queue.head) is not None]
    if left:
        at = min(head.priority[0] + view.capacity.tails[head.call.stage] for head in left)
        yield Wake(max(at, view.now) + 1e-3, "what waits then is hopeless")


def _in_parts(view: View, ticket: Ticket, choice: Choice) -> Iterator[Decision]:
    """Split a call, and start its parts."""
    size, parts = ticket.record.call.size, choice.parts
    sizes = [size // parts + (number < size % parts) for number in range(parts)]
    reason = f"{ticket.left_s * 1e3:.0f} ms left, too few for the whole"
    yield Split(ticket.record, sizes, reason)
    for part in ticket.record.parts:
        instance = next(iter(view.idle[choice.configuration].values()), None)
        if instance is not None:  # else they shared a slot
            yield Dispatch(instance, (part,), reason)


def _others(
    outlook: Outlook, view: View, entry: Entry, tickets: Sequence[Ticket], starting: Mapping[int, Configuration]
) -> list[tuple[CallRecord, float]]:
    """The waiting calls that may go along with one, each with the time until its deadline, in the order to ask them.

    What is listed to start on other kinds of slots is left for there, and what is on others of its kind comes last; but
    not where batches were waited for.
    """
    first, here = entry.ticket, entry.choice.configuration
    found = [
        each
        for each in tickets
        if each is not first and each.record.call.stage == here.stage and each.record.state is CallState.WAITING
    ]
    if not view.capacity.fill_s.get(here.stage):
        found = [each for each in found if starting.get(each.number, here) == here]
        found.sort(key=lambda each: each.number in starting)
    if view.capacity.class_accuracy:
        found = [each for each in found if outlook.mixing.may_run(view, each.record, here)]
    return [(each.record, each.left_s) for each in found]


def _fastest_in_parts(view: View, call: Call) -> float:
    mean, least_part = view.estimates.mean, view.capacity.least_part
    among = view.capacity.configurations[call.stage]
    return min((mean(each, least_part(each, call.size)) for each in among), default=0.0)


def _instance(view: View, entry: Entry) -> InstanceRecord | None:
    """An instance that can take a batch: idle, or else, to hide the hop, one that runs its last."""
    configuration = entry.choice.configuration
    pool = view.spare if entry.start_s else view.idle
    return next(iter(pool[configuration].values()), None)
