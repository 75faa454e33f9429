"""Lists the waiting calls on paper: each in its turn, where it costs least. `policies.heterosis` says by what rules."""

from collections.abc import Sequence
from math import inf

from heterosis.scheduling.estimates import SAFE_PERCENT, in_time
from heterosis.scheduling.listing import LOOK, NO_HURRY, Choice, Entry, Offer, Slots, Ticket
from heterosis.scheduling.outlook import Outlook
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View

BRAKE = 40.0
"""Weight of time against joules when half of the slots are busy."""

FAINT = 0.2
"""A chance to be in time that is not worth a slot."""


def list_calls(outlook: Outlook, view: View, queues: Sequence[Queue]) -> tuple[list[Ticket], list[Entry]]:
    """Give every waiting call its turn, and enter those that fit somewhere."""
    slots: dict[int, Slots] = {}
    waiting = [record for queue in queues for record in queue.first(LOOK)]
    tickets = sorted(_ticket(outlook, view, number, record, slots) for number, record in enumerate(waiting))
    entries: list[Entry] = []
    for ticket in tickets:
        choice = _choose(outlook, view, ticket)
        if choice is not None:
            start = choice.start(view)
            entries.append(Entry(ticket, choice, start))
            time = view.capacity.slot_time(choice.configuration, ticket.record.call.size) / choice.width
            choice.slots.take(choice.width, start + time)
        elif outlook.at_risk and ticket.rank != NO_HURRY and outlook.without != "displacement":
            _displace(outlook, ticket, entries)
    return tickets, entries


def _ticket(outlook: Outlook, view: View, number: int, record: CallRecord, slots: dict[int, Slots]) -> Ticket:
    capacity, estimates = view.capacity, view.estimates
    size = record.call.size
    tail = capacity.tails.get(record.call.stage, 0.0)
    left = record.request.deadline - outlook.caution * tail - view.now
    choices = []
    allowed = left + view.now - record.since
    places: set[int] = set()
    slacks: dict[int, float] = {}
    fastest, possible, chance = left, False, outlook.chances
    for configuration in outlook.mixing.allowed(view, record):
        group = capacity.group[configuration]
        of = slots.get(group)
        if of is None:
            of = slots[group] = Slots(view, group, outlook.price(view, group))
        items = outlook.items(view, configuration, size)
        mean, safe = estimates.times(configuration, items, SAFE_PERCENT)
        choice = Choice(configuration, of, capacity.width[configuration], mean, safe, size / items)
        if fits_after_a_wait(view, group, safe, allowed):
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
    if outlook.without == "scarcity" and slacks:
        rank = 1
    scarcity = len(places) if outlook.spares and rank != NO_HURRY and outlook.without != "scarcity" else rank
    urgency = min(slacks.values(), default=0.0) * (fastest + tail) / outlook.weight(record.request.request_class)
    return Ticket(scarcity, rank, urgency, number, record, choices, left, allowed, len(places) <= 1)


def _choose(outlook: Outlook, view: View, ticket: Ticket) -> Choice | None:
    """The cheapest of the choices that are in time; None where none is."""
    offers = [
        Offer(each.configuration, each.slots.price * each.width, each.start(view), each.mean_s, each.safe_s, each.share)
        for each in ticket.choices
    ]
    size = ticket.record.call.size
    best = cheapest(outlook, view, offers, ticket.left_s, size)
    if ticket.confined and unsure(best, ticket.left_s) and outlook.without != "odds":
        best = _likeliest(outlook, view, offers, ticket)
    if best is None and ticket.rank == NO_HURRY:
        last_s = ticket.record.request.deadline - view.now
        best = cheapest(outlook, view, [offer for offer in offers if not offer.start_s], last_s, size)
    return None if best is None else ticket.choices[offers.index(best)]


def cheapest(outlook: Outlook, view: View, offers: Sequence[Offer], left_s: float, size: int) -> Offer | None:
    """The offer of least cost of those that are in time: surely, or else on average."""
    fitting = [offer for offer in offers if offer.start_s + offer.safe_s <= left_s]
    if not fitting and outlook.chances:
        fitting = [offer for offer in offers if offer.start_s + offer.mean_s <= left_s]
    if outlook.without == "reserve":
        fitting = [offer for offer in fitting if not offer.start_s] or fitting
    if len(fitting) < 2:  # noqa: PLR2004 - nothing to choose
        return fitting[0] if fitting else None
    joules = [view.estimates.joules(offer.configuration, size) or 0.0 for offer in fitting]
    costs = [offer.price * (offer.start_s + offer.share * offer.mean_s) for offer in fitting]
    least_joules, least_cost = min(joules), min(costs)
    if least_joules and least_cost:  # unknown energy decides nothing
        brake = BRAKE * outlook.busy / max(1 - outlook.busy, 0.01) / least_cost
        costs = [brake * cost + spent / least_joules for cost, spent in zip(costs, joules, strict=True)]
    return fitting[costs.index(min(costs))]


def _displace(outlook: Outlook, ticket: Ticket, entries: list[Entry]) -> None:
    """Enter a call in place of the longest one of its stage that takes longer than it would there.

    Only of its stage: among all, fewer calls would be late, but a class of long ones would pay for the rest.
    """
    weight = outlook.weight(ticket.record.request.request_class)
    of = {choice.configuration: choice for choice in ticket.choices}
    longest: Entry | None = None
    for entry in entries:
        choice = of.get(entry.choice.configuration)
        if (
            choice is not None
            and choice.mean_s < entry.choice.mean_s
            and entry.start_s + choice.safe_s <= ticket.left_s
            and outlook.weight(entry.ticket.record.request.request_class) <= weight
            and (longest is None or entry.choice.mean_s > longest.choice.mean_s)
        ):
            longest = entry
    if longest is not None:
        longest.ticket, longest.choice = ticket, of[longest.choice.configuration]


def fits_after_a_wait(view: View, group: int, safe_s: float, allowed_s: float) -> bool:
    """Whether a call has the time to run on a group and to wait before for the first of its slots to get free."""
    return safe_s * (1 + 1 / (1 + view.capacity.group_slots[group])) <= allowed_s


def unsure(best: Offer | None, left_s: float) -> bool:
    """Whether the cheapest offer may end late, or has to wait and so may get later still."""
    return best is None or best.start_s > 0 or best.safe_s > left_s


def _likeliest(outlook: Outlook, view: View, offers: Sequence[Offer], ticket: Ticket) -> Offer | None:
    """The offer that is expected to cause the fewest misses: the call's own, and those of others that come after it.

    Of these there are more, the more work is ahead of a group's slots: half of the square of that work, in units of the
    time that the call had from the start. So, nearly, grow the relative values of the decision process that
    `studies.kairos.largest` solves, up to the whole of that time.
    """
    capacity, best, least = view.capacity, None, inf
    least_chance = FAINT if outlook.without != "last_chance" else SAFE_PERCENT / 100
    for each in offers:
        chance = in_time(ticket.left_s - each.start_s, each.mean_s, each.safe_s)
        if chance < least_chance:
            continue
        share = capacity.width[each.configuration] / capacity.group_slots[capacity.group[each.configuration]]
        end_s = each.start_s + each.mean_s
        missed = 1 - chance + share * (end_s**2 - each.start_s**2) / (2 * ticket.allowed_s**2)
        if missed < least:
            best, least = each, missed
    return best
