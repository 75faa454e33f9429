"""Lists the waiting calls on paper: each in its turn, where it costs least. `policies.heterosis` says by what rules."""

from collections.abc import Sequence
from math import inf

from msgspec.structs import replace

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
            choice.slots.take(choice.width, start + _slot_time(view, choice, ticket.record.call.size))
        elif outlook.at_risk and ticket.rank != NO_HURRY and outlook.without != "displacement":
            _displace(outlook, ticket, entries)
    return tickets, entries


def _slot_time(view: View, choice: Choice, size: int) -> float:
    """How long a call has each of its slots."""
    if choice.parts > 1:
        return choice.mean_s
    return view.capacity.slot_time[choice.configuration, size] / choice.width


def _ticket(outlook: Outlook, view: View, number: int, record: CallRecord, slots: dict[int, Slots]) -> Ticket:
    capacity, estimates = view.capacity, view.estimates
    size = record.call.size
    tail = capacity.tails[record.call.stage]
    left = record.request.deadline - outlook.caution * tail - view.now
    choices = []
    slacks: dict[int, float] = {}
    fastest, possible, tries = left, False, outlook.tries(record.request.request_class)
    for configuration in outlook.mixing.allowed(view, record):
        group = capacity.group[configuration]
        of = slots.get(group)
        if of is None:
            of = slots[group] = Slots(view, group, outlook.price(group))
        items = outlook.items(view, configuration, size)
        mean, safe = estimates.times(configuration, items, SAFE_PERCENT)
        choice = Choice(configuration, of, capacity.width[configuration], mean, safe, size / items)
        start = choice.start(view)
        if start == inf:
            continue
        choices.append(choice)
        slack = left - start - safe
        if slack >= slacks.get(group, 0.0):
            slacks[group] = slack
        if tries and start + mean <= left:
            possible = True
        fastest = min(fastest, mean)
    splits = _splits(view, choices, record, left) if outlook.without != "splitting" else []
    rank = len(slacks) if slacks or possible or splits else NO_HURRY
    if outlook.without == "scarcity" and slacks:
        rank = 1
    urgency = min(slacks.values(), default=0.0) * (fastest + tail) / outlook.weight(record.request.request_class)
    return Ticket(rank, urgency, number, record, choices, splits, left)


def _splits(view: View, choices: Sequence[Choice], record: CallRecord, left_s: float) -> list[Choice]:
    """How a call that no instance would surely run in time, begun now, would be on several that are idle.

    Each choice in as few parts as will do.
    """
    size = record.call.size
    if not record.request.divisible or any(not each.start(view) and each.safe_s <= left_s for each in choices):
        return []
    found = []
    for whole in choices:
        most = min(len(view.idle[whole.configuration]), view.capacity.parts(whole.configuration, size))
        for parts in range(2, most + 1):
            mean, safe = view.estimates.times(whole.configuration, -(-size // parts), SAFE_PERCENT)
            if safe <= left_s:
                split = replace(whole, width=parts * whole.width, mean_s=mean, safe_s=safe, share=1.0, parts=parts)
                found += [split] if not split.start(view) else []
                break
    return found


def _choose(outlook: Outlook, view: View, ticket: Ticket) -> Choice | None:
    """The cheapest of the choices that are in time; None where none is."""
    choices = (*ticket.choices, *ticket.splits)
    offers = [
        Offer(
            each.configuration,
            each.slots.price * each.width,
            each.start(view),
            each.mean_s,
            each.safe_s,
            each.share,
            each.parts,
        )
        for each in choices
    ]
    best = cheapest(outlook, view, offers, ticket.left_s, ticket.record)
    allowed_s = ticket.left_s + view.now - ticket.record.since
    if outlook.without != "odds" and unsure(best, ticket.left_s) and confined(view, offers, allowed_s):
        best = _likeliest(outlook, view, offers, ticket.left_s, allowed_s)
    if best is None and ticket.rank == NO_HURRY:
        last_s = ticket.record.request.deadline - view.now
        best = cheapest(outlook, view, [offer for offer in offers if not offer.start_s], last_s, ticket.record)
    return None if best is None else choices[offers.index(best)]


def cheapest(outlook: Outlook, view: View, offers: Sequence[Offer], left_s: float, record: CallRecord) -> Offer | None:
    """The offer of least cost of those that are in time: surely, or else, if a call's class is tried so, on average."""
    fitting = [offer for offer in offers if offer.start_s + offer.safe_s <= left_s]
    if not fitting and outlook.tries(record.request.request_class):
        fitting = [offer for offer in offers if offer.start_s + offer.mean_s <= left_s]
    if outlook.without == "reserve":
        fitting = [offer for offer in fitting if not offer.start_s] or fitting
    if len(fitting) < 2:  # noqa: PLR2004 - nothing to choose
        return fitting[0] if fitting else None
    joules = [
        view.estimates.joules(offer.configuration, -(-record.call.size // offer.parts)) or 0.0 for offer in fitting
    ]
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


def unsure(best: Offer | None, left_s: float) -> bool:
    """Whether the cheapest offer may end late, or has to wait and so may get later still."""
    return best is None or best.start_s > 0 or best.safe_s > left_s


def confined(view: View, offers: Sequence[Offer], allowed_s: float) -> bool:
    """Whether, of several groups of slots, a call fits in one at most, even with all the time that it had at first.

    That is, whole, and with a wait for the first slot to get free.
    """
    slots = view.capacity.group_slots
    groups = [(view.capacity.group[each.configuration], each.safe_s) for each in offers if each.parts == 1]
    fits = {group for group, safe_s in groups if safe_s * (1 + 1 / (1 + slots[group])) <= allowed_s}
    return len(fits) <= 1 < len({group for group, _ in groups})


def _likeliest(outlook: Outlook, view: View, offers: Sequence[Offer], left_s: float, allowed_s: float) -> Offer | None:
    """The offer that is expected to cause the fewest misses: the call's own, and those of others that come after it.

    Of these there are more, the more work is ahead of a group's slots: half of the square of that work, in units of the
    time that the call had at first. So, nearly, grow the relative values of a Markov decision process that has the work
    ahead for its state, up to the whole of that time.
    """
    capacity, best, least = view.capacity, None, inf
    least_chance = FAINT if outlook.without != "last_chance" else SAFE_PERCENT / 100
    for each in offers:
        chance = in_time(left_s - each.start_s, each.mean_s, each.safe_s) ** each.parts
        if chance < least_chance:
            continue
        width = each.parts * capacity.width[each.configuration]
        share = width / capacity.group_slots[capacity.group[each.configuration]]
        end_s = each.start_s + each.mean_s
        missed = 1 - chance + share * (end_s**2 - each.start_s**2) / (2 * allowed_s**2)
        if missed < least:
            best, least = each, missed
    return best
