"""Ours: late binding, feasible first, the scarce first, and each call where its time is cheapest.

- A call's deadline is its request's, less the time that must be left for what follows its stage (the plan's tail).
- A call is hopeless when not even the fastest configuration, started now, would meet its request's deadline on average;
  it is dropped at once, so that it costs nothing more. A request is refused at its arrival when the work already
  admitted, of the pipelines that it shares slots with, spread over these, leaves it no time; where slots are of one
  kind, that is as good as certain, and what is admitted is hardly ever dropped later.
- The waiting calls are listed, on paper, on the groups of slots that could run them, each from the time at which a slot
  gets free. Calls that fit before their deadlines in fewer places go first; among equals the one with the least slack,
  the shorter the sooner. Fitting is judged at the 95th percentile of the run time; a call that fits nowhere so surely
  is given its chance where it fits on average, while the SLO is not at risk.
- Each goes where it costs least: its time, and the time it waits for the slot, at the price of that slot (see
  `prices`), and its joules. With little to do joules decide, under pressure time does.
- What is listed to start now is started; the rest waits, bound to nothing, and is listed anew at the next event. So a
  slot that only some calls can use is left free for them rather than filled with what others will soon have time for.
- A batch is as large as lets its most urgent call meet its deadline, but calls are first spread over idle instances: a
  request with a wide fan-out is done sooner on all of them. In a crowd a call must bear a full batch, lest the most
  urgent shrink every batch; and the more calls are dropped on the way, the more time is left for what follows.
- While clearly fewer requests miss their deadlines than the SLO allows, those that need most time are spared, at the
  cost of the rest. Nobody is displaced; calls that would have fitted in fewer places from the start, a wait for a slot
  included, go first, so that one that could have run elsewhere does not get ahead by having waited; and a second is
  dearer where there are few
  slots, which are the likelier to be taken when a call comes that can run nowhere else. Beyond that, a call that fits
  nowhere takes the place of a longer one of its stage: as many as possible are in time (Moore, "An n job, one machine
  sequencing algorithm for minimizing the number of late jobs", Management Science 15(1), 1968).
- Where several classes of requests miss deadlines, those that miss more of them go sooner.
- An instance that runs a batch is handed the next one in advance, to hide the hop, only where that one is full: until
  the first has ended, more calls may come to go along.
- Where the plan keeps batches open, calls wait for a full one for as long as it says, their deadlines permitting. Where
  a stage mixes variants, a less accurate one runs only as often as more accurate ones have earned it (`mixing`).

``heterosis:without_PART`` leaves out one of the parts that `PARTS` names, to see what it is worth.

The time of a decision grows with waiting calls (at most `LOOK` of a stage are listed) and configurations, not with
instances.

Sources: late binding with deadlines less downstream time as in PARD; early refusal as in Clockwork (OSDI'20, section
4.2); opportunity cost in place of the fixed coefficients of KAIROS (HPDC'23, section 5).
"""

from collections.abc import Iterator, Sequence
from math import inf
from operator import itemgetter

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.fairness import Fairness
from heterosis.scheduling.listing import LOOK, NO_HURRY, Choice, Entry, Offer, Slots, Ticket
from heterosis.scheduling.mixing import Mixing
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse, Wake
from heterosis.scheduling.prices import Prices
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

PARTS = {
    "displacement": "who fits nowhere never takes the place of a longer call",
    "fairness": "all classes of requests weigh the same",
    "last_chance": "a call that does not fit at the 95th percentile is not tried at the mean",
    "prices": "a second costs the same on all slots",
    "reserve": "no slot is left free for those that need it more",
    "scarcity": "calls go by their slack alone, however many places they fit in",
    "sparing": "calls go by where they still fit, and few slots are no dearer than many, even when the SLO is safe",
}
"""What can be left out, and what happens then."""

SAFE_PERCENT = 95
"""The percentile of a run time that has to fit before a deadline."""

MEMORY = 0.01
"""Weight of one call in the share of slots that are found busy."""

BRAKE = 40.0
"""Weight of time against joules when half of the slots are busy."""

CROWDED = 0.97
"""Share of busy slots beyond which only full batches keep up."""

MORE_CAUTION, LESS_CAUTION, MOST_CAUTION = 0.05, 0.002, 3.0
"""How caution grows with each call that is dropped after its request's first stage, and goes with each that is run."""

AT_RISK = 0.7
"""Share of the missed deadlines that the SLO allows, beyond which calls are displaced and nobody is spared."""

class Heterosis:
    """Feasible first, the scarce first, at the least cost of time and joules."""

    only_changes = True
    """See `Policy`."""

    def __init__(self, without: str | None = None) -> None:
        """Know nothing of the load yet; ``without`` is one of `PARTS`."""
        self._without = without
        self._prices = Prices()
        self._fairness = Fairness()
        self._mixing = Mixing()
        self._busy = 0.0
        """Share of the slots that calls find busy, smoothed."""
        self._chances = without != "last_chance"
        """Whether calls are tried that will be in time only on average."""
        self._at_risk = False
        """Whether more deadlines are missed than the SLO allows, or nearly so."""
        self._spares = without != "sparing"
        """Whether those that need most time are spared at the cost of the rest."""
        self._caution = 1.0
        """How many times the plan's tail is left for what follows a stage: more where much is dropped on the way."""

    def inherit(self, before: "Heterosis") -> None:
        """Take over what was learnt under the plan before; prices are of its groups of slots, and learnt anew."""
        self._fairness, self._mixing = before._fairness, before._mixing  # noqa: SLF001 - of its own kind
        self._busy, self._caution = before._busy, before._caution  # noqa: SLF001

    def admit(self, view: View, request: Request) -> Refuse | None:
        """Refuse what the work already admitted leaves no time for."""
        backlog = view.backlog(request.pipeline)
        ahead = backlog.before(request.deadline - view.now)
        own = view.capacity.work_of_request(request.size, request.pipeline)
        if ahead <= 0 or own <= 0:
            return None
        domain = view.capacity.domain(request.pipeline)
        if domain.alike:  # what is ahead is served first, wherever that is, and then this
            wait_s = ahead * backlog.pressed_strain / domain.slots
            run_s = _run_s(view, request, ahead / own / domain.slots)
            ends = max(wait_s - run_s / 2, 0.0) + run_s  # batches that run are, on average, half done
        else:
            work = ahead + own
            if not view.capacity.longest_tail:
                work /= 2  # what is dropped before its only stage has cost nothing, so refuse what is sure
            ends = work * backlog.strain / domain.slots
        late = view.now + ends - request.deadline
        if late <= 0:
            return None
        self._fairness.note(request.request_class, missed=True)
        return Refuse(
            Refusal.OVERLOAD,
            f"{ahead:.3f} s of admitted work leave no time before the deadline",
            retry_after_s=late,
        )

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest time at which the fastest configuration could start it."""
        deadline = record.request.deadline - view.capacity.tails.get(record.call.stage, 0.0)
        self._prices.note(view, record, deadline - view.now)
        self._busy += MEMORY * (view.busy_share - self._busy)
        self._at_risk = self._fairness.missed > AT_RISK * (1 - view.plan.slo.percentile / 100)
        self._spares = not self._at_risk and self._without != "sparing"
        self._chances = not self._at_risk and self._without != "last_chance"  # then they cost others theirs
        return (deadline - _fastest(view, record),)

    def decide(self, view: View) -> Iterator[Decision]:
        """Drop hopeless heads, list the rest, and start what is listed to start now."""
        waiting = []
        for stage, queue in view.queues.items():
            head = queue.head() if queue.waiting else None
            if head is not None and view.now > head.priority[0] + view.capacity.tails.get(stage, 0.0):
                yield from self._hopeless(view, stage, queue)
            if queue.waiting:
                waiting.append((stage, queue))
        if view.capacity.fills:
            filling = {stage: at for stage, queue in waiting if (at := _fills_until(view, stage, queue)) > view.now}
            if filling:
                yield Wake(min(filling.values()), "what waits for a fuller batch then goes as it is")
                waiting = [(stage, queue) for stage, queue in waiting if stage not in filling]
        if _any_open(view, waiting):
            yield from self._start(view, [queue for _, queue in waiting])
            left = [head for _, queue in waiting if (head := queue.head()) is not None] if not view.busy_share else []
            if left:  # no batch will end and bring the next event
                at = min(head.priority[0] + view.capacity.tails.get(head.call.stage, 0.0) for head in left)
                yield Wake(max(at, view.now) + 1e-3, "what waits then is hopeless")

    def _hopeless(self, view: View, stage: str, queue: Queue) -> Iterator[Drop]:
        """Drop the heads that are too late even for the fastest."""
        tail = view.capacity.tails.get(stage, 0.0)
        while (head := queue.head()) is not None and view.now > head.priority[0] + tail:
            self._fairness.note(head.request.request_class, missed=True)
            if tail < view.capacity.longest_tail:  # it has come a long way for nothing
                self._caution = min(self._caution * (1 + MORE_CAUTION), MOST_CAUTION)
            yield Drop(head, Refusal.LATE, f"would end {(view.now - head.priority[0] - tail) * 1e3:.0f} ms late")

    def _price(self, view: View, group: int) -> float:
        if self._without == "prices":
            return 1.0
        return self._prices.of(group) * (1 + 1 / view.capacity.group_slots[group] if self._spares else 1)

    # --- listing

    def _list(self, view: View, queues: Sequence[Queue]) -> tuple[list[Ticket], list[Entry]]:
        """Give every waiting call its turn, and enter those that fit somewhere."""
        slots: dict[int, Slots] = {}
        waiting = [record for queue in queues for record in queue.first(LOOK)]
        tickets = sorted(self._ticket(view, number, record, slots) for number, record in enumerate(waiting))
        entries: list[Entry] = []
        for ticket in tickets:
            choice = self._choose(view, ticket)
            if choice is not None:
                start = choice.start(view)
                entries.append(Entry(ticket, choice, start))
                time = view.capacity.slot_time(choice.configuration, ticket.record.call.size) / choice.width
                choice.slots.take(choice.width, start + time)
            elif self._at_risk and ticket.rank != NO_HURRY and self._without != "displacement":
                self._displace(ticket, entries)
        return tickets, entries

    def _ticket(self, view: View, number: int, record: CallRecord, slots: dict[int, Slots]) -> Ticket:
        capacity, estimates = view.capacity, view.estimates
        size = record.call.size
        tail = capacity.tails.get(record.call.stage, 0.0)
        left = record.request.deadline - self._caution * tail - view.now
        choices = []
        allowed = left + view.now - record.since
        places: set[int] = set()
        slacks: dict[int, float] = {}
        fastest, possible, chance = left, False, self._chances
        for configuration in self._mixing.allowed(view, record.call.stage):
            group = capacity.group[configuration]
            of = slots.get(group)
            if of is None:
                of = slots[group] = Slots(view, group, self._price(view, group))
            mean, safe = estimates.times(configuration, self._items(view, configuration, size), SAFE_PERCENT)
            choice = Choice(configuration, of, capacity.width[configuration], mean, safe)
            if safe * (1 + 1 / (1 + capacity.group_slots[group])) <= allowed:  # the first of them is free so soon
                places.add(group)
            start = choice.start(view)
            if start == inf:
                continue
            choices.append(choice)
            slack = left - start - safe
            if slack >= slacks.get(group, 0.0):
                slacks[group] = slack
            if chance and start + mean <= left:
                possible = True
            fastest = min(fastest, mean)
        rank = len(slacks) if slacks or possible else NO_HURRY
        if self._without == "scarcity" and slacks:
            rank = 1
        scarcity = len(places) if self._spares and rank != NO_HURRY and self._without != "scarcity" else rank
        urgency = min(slacks.values(), default=0.0) * (fastest + tail)
        if self._without != "fairness":
            urgency /= self._fairness.weight(record.request.request_class)
        return Ticket(scarcity, rank, urgency, number, record, choices, left)

    def _items(self, view: View, configuration: Configuration, size: int) -> int:
        """How many items a batch with a call has to be thought to have.

        In a crowd only full batches keep up, so a call must bear one, lest the most urgent shrink them all.
        """
        if self._busy <= CROWDED:
            return size
        return min(max(view.capacity.max_batch[configuration], size), size * len(view.queues[configuration.stage]))

    def _choose(self, view: View, ticket: Ticket) -> Choice | None:
        """The cheapest of the choices that are in time; None where none is."""
        offers = [
            Offer(each.configuration, each.slots.price * each.width, each.start(view), each.mean_s, each.safe_s)
            for each in ticket.choices
        ]
        size = ticket.record.call.size
        best = self._cheapest(view, offers, ticket.left_s, size)
        if best is not None and best.start_s and self._spares and ticket.scarcity == 1:
            best = _elsewhere(view, best, offers, ticket.left_s) or best
        if best is None and ticket.rank == NO_HURRY:
            last_s = ticket.record.request.deadline - view.now
            best = self._cheapest(view, [offer for offer in offers if not offer.start_s], last_s, size)
        return None if best is None else ticket.choices[offers.index(best)]

    def _cheapest(self, view: View, offers: Sequence[Offer], left_s: float, size: int) -> Offer | None:
        """The offer of least cost of those that are in time: surely, or else on average."""
        fitting = [offer for offer in offers if offer.start_s + offer.safe_s <= left_s]
        if not fitting and self._chances:
            fitting = [offer for offer in offers if offer.start_s + offer.mean_s <= left_s]
        if self._without == "reserve":
            fitting = [offer for offer in fitting if not offer.start_s] or fitting
        if len(fitting) < 2:  # noqa: PLR2004 - nothing to choose
            return fitting[0] if fitting else None
        joules = [view.estimates.joules(offer.configuration, size) or 0.0 for offer in fitting]
        costs = [offer.price * (offer.start_s + offer.mean_s) for offer in fitting]
        least_joules, least_cost = min(joules), min(costs)
        if least_joules and least_cost:  # unknown energy decides nothing
            brake = BRAKE * self._busy / max(1 - self._busy, 0.01) / least_cost
            costs = [brake * cost + spent / least_joules for cost, spent in zip(costs, joules, strict=True)]
        return fitting[costs.index(min(costs))]

    def _displace(self, ticket: Ticket, entries: list[Entry]) -> None:
        """Enter a call in place of the longest one of its stage that takes longer than it would there.

        Only of its stage: among all, fewer calls would be late, but a class of long ones would pay for the rest.
        """
        weight = self._fairness.weight(ticket.record.request.request_class)
        of = {choice.configuration: choice for choice in ticket.choices}
        longest: Entry | None = None
        for entry in entries:
            choice = of.get(entry.choice.configuration)
            if (
                choice is not None
                and choice.mean_s < entry.choice.mean_s
                and entry.start_s + choice.safe_s <= ticket.left_s
                and self._fairness.weight(entry.ticket.record.request.request_class) <= weight
                and (longest is None or entry.choice.mean_s > longest.choice.mean_s)
            ):
                longest = entry
        if longest is not None:
            longest.ticket, longest.choice = ticket, of[longest.choice.configuration]

    # --- starting

    def _start(self, view: View, queues: Sequence[Queue]) -> Iterator[Dispatch]:
        if len(queues) == 1:
            (queue,) = queues
            short = self._alone(view, queue) if queue.waiting == 1 else self._alike(view, queue)
            if short is not None:
                yield from short
                return
        tickets, entries = self._list(view, queues)
        starting = {entry.ticket.number for entry in entries if not entry.start_s}
        for entry in entries:
            ticket, choice = entry.ticket, entry.choice
            if ticket.record.state is not CallState.WAITING:
                continue  # a batch took it along
            instance = _instance(view, entry)
            if instance is None:
                continue
            stage = ticket.record.call.stage
            # What can start elsewhere is left for there; but not where batches were waited for.
            left = {ticket.number} if view.capacity.fill_s.get(stage) else {ticket.number, *starting}
            others = [
                (each.record, each.left_s)
                for each in tickets
                if each.record.call.stage == stage
                and each.number not in left
                and each.record.state is CallState.WAITING
            ]
            calls = _together(view, instance, (ticket.record, ticket.left_s), others)
            if entry.start_s and sum(each.call.size for each in calls) < instance.placement.max_batch:
                continue  # nothing is gained by binding it now, and others may come to go along
            for record in calls:
                self._started(view, record, view.now + entry.start_s + choice.mean_s)
            self._mixing.note(view, choice.configuration, len(calls))
            places = "may be late" if ticket.rank in {0, NO_HURRY} else f"fits in {ticket.rank} groups of slots"
            yield Dispatch(instance, calls, f"{ticket.left_s * 1e3:.0f} ms left, {places}")

    def _alone(self, view: View, queue: Queue) -> Sequence[Dispatch] | None:
        """Start the only call that waits, or let it wait on; the common case, and so a short cut past the list.

        None where the list has to tell.
        """
        record = queue.head()
        assert record is not None  # noqa: S101
        stage, size = record.call.stage, record.call.size
        left = record.request.deadline - self._caution * view.capacity.tails.get(stage, 0.0) - view.now
        offers = []
        for configuration in self._mixing.allowed(view, stage):
            if view.capacity.width[configuration] > 1:
                return None
            group, start = view.capacity.group[configuration], 0.0
            if not view.idle(configuration):
                ends = view.ends(group)
                if not ends:
                    continue
                start = max(ends[0][0] - view.now, 1e-9)
            times = view.estimates.times(configuration, size, SAFE_PERCENT)
            offers.append(Offer(configuration, self._price(view, group), start, *times))
        best = self._cheapest(view, offers, left, size)
        if best is None:
            return None
        pool = view.spare(best.configuration) if best.start_s else view.idle(best.configuration)
        instance = next(iter(pool), None)
        if instance is None or (best.start_s and size < instance.placement.max_batch):
            return ()
        self._started(view, record, view.now + best.start_s + best.mean_s)
        self._mixing.note(view, best.configuration, 1)
        return (Dispatch(instance, (record,), f"{left * 1e3:.0f} ms left, alone"),)

    def _alike(self, view: View, queue: Queue) -> Sequence[Dispatch] | None:
        """Start calls of one size and class that only one configuration can run, where one instance can take any.

        So it mostly is in a crowd. As the list would, in less time; None where that has to tell.
        """
        head = queue.head()
        assert head is not None  # noqa: S101
        stage, size = head.call.stage, head.call.size
        allowed = self._mixing.allowed(view, stage)
        if len(queue.kinds) != 1 or self._at_risk or self._without is not None or len(allowed) != 1:
            return None
        configuration = allowed[0]
        idle, spare = view.idle(configuration), view.spare(configuration)
        if not idle and queue.waiting * size < view.capacity.max_batch[configuration]:
            return ()  # what is bound in advance is bound in full batches
        ends = view.ends(view.capacity.group[configuration])
        if view.capacity.width[configuration] > 1 or len(idle) + len(spare) != 1 or not (idle or ends):
            return None
        start = 0.0 if idle else max(ends[0][0] - view.now, 1e-9)
        mean, safe = view.estimates.times(configuration, self._items(view, configuration, size), SAFE_PERCENT)
        late = self._caution * view.capacity.tails.get(stage, 0.0) + view.now
        waiting = [(record.request.deadline - late, record) for record in queue.first(LOOK)]
        waiting.sort(key=itemgetter(0))
        if not 0 < mean <= safe or waiting[0][0] - start - safe < 0:
            return None
        (left, first), instance = waiting[0], next(iter(idle or spare))
        most = instance.placement.max_batch
        others = [(record, left_s) for left_s, record in waiting[1:]] if most > size else []
        calls = _together(view, instance, (first, left), others)
        if start and len(calls) * size < most:
            return ()  # nothing is gained by binding it now, and others may come to go along
        for record in calls:
            self._started(view, record, view.now + start + mean)
        self._mixing.note(view, configuration, len(calls))
        return (Dispatch(instance, calls, f"{left * 1e3:.0f} ms left, fits in 1 groups of slots"),)

    def _started(self, view: View, record: CallRecord, end: float) -> None:
        """Note that a call is run, and is expected to end at a time."""
        self._caution -= LESS_CAUTION * (self._caution - 1)
        tail = view.capacity.tails.get(record.call.stage, 0.0)
        self._fairness.note(record.request.request_class, missed=end > record.request.deadline - tail)


def _run_s(view: View, request: Request, ahead: float) -> float:
    """How long a request takes once its turn has come, in batches with as many like it as are ahead of it on a slot."""
    stages = view.capacity.stages(request.pipeline)
    if len(stages) > 1:
        return view.capacity.path_s(request.pipeline, request.size)
    configuration = view.capacity.fastest(stages[0], request.size)
    if configuration is None:
        return 0.0
    most = max(view.capacity.max_batch[configuration], request.size)
    return view.estimates.quantile(configuration, min(round(request.size * (1 + ahead)), most), SAFE_PERCENT)


def _any_open(view: View, waiting: Sequence[tuple[str, Queue]]) -> bool:
    """Whether any instance could take a call; asked at most events, so without detours."""
    for stage, _ in waiting:
        for each in view.capacity.configurations.get(stage, ()):
            if view.open(each):
                return True
    return False


def _fills_until(view: View, stage: str, queue: Queue) -> float:
    """Until when the calls of a stage wait for a fuller batch: the plan allows them a time for it."""
    head, fill_s = queue.head(), view.capacity.fill_s.get(stage, 0.0)
    if head is None or not fill_s or len(queue) >= view.capacity.full[stage]:
        return 0.0
    latest = head.priority[0] - fill_s  # past that, what was set aside for other waits is used up
    return min(head.since + fill_s, latest)


def _elsewhere(view: View, sure: Offer, offers: Sequence[Offer], left_s: float) -> Offer | None:
    """The soonest of the offers that need no waiting, are in time on average, and of whose slots there are more."""
    slots, group = view.capacity.group_slots, view.capacity.group
    few = slots[group[sure.configuration]]
    found = [each for each in offers if not each.start_s and each.mean_s <= left_s]
    return min((each for each in found if slots[group[each.configuration]] > few), key=_mean_s, default=None)


def _mean_s(offer: Offer) -> float:
    return offer.mean_s


def _fastest(view: View, record: CallRecord) -> float:
    size = record.call.size
    configuration = view.capacity.fastest(record.call.stage, size)
    return 0.0 if configuration is None else view.estimates.mean(configuration, size)


def _instance(view: View, entry: Entry) -> InstanceRecord | None:
    """An instance that can take a batch: idle, or else, to hide the hop, one that runs its last."""
    configuration = entry.choice.configuration
    return next(iter(view.spare(configuration) if entry.start_s else view.idle(configuration)), None)


def _together(
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
