"""The list on paper: which waiting call would start when, on which slots. What `policies.heterosis` decides from."""

from bisect import insort
from dataclasses import dataclass
from math import inf

import msgspec

from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

LOOK = 32
"""Calls of a stage, and slots of a group, that are looked at: the most urgent, the soonest free."""

NO_HURRY = 1 << 30
"""The rank of calls whose own deadline cannot be met any more, though that of their request might."""


class Slots:
    """When the slots of one group get free, in seconds from now, soonest first."""

    __slots__ = ("_ends", "_free", "_now", "_times", "price")

    def __init__(self, view: View, group: int, price: float) -> None:
        """See who has them; ``price`` is what a second on one of them is worth."""
        self.price = price
        self._now, self._ends = view.now, view.ends[group]
        self._free = 0
        for each in view.capacity.members[group]:
            free = len(view.idle[each]) * view.capacity.width[each]
            self._free = max(self._free, free)
        self._times: list[float] | None = None

    @property
    def times(self) -> list[float]:
        """When each gets free; looked up only once somebody has to wait, or takes one."""
        if self._times is None:
            now = self._now
            self._times = [0.0] * min(self._free, LOOK) + [max(end - now, 1e-9) for end, _ in self._ends[:LOOK]]
        return self._times

    def start(self, width: int) -> float:
        """When so many are free; never, where there are not so many."""
        if self._times is None and width <= self._free:
            return 0.0
        times = self.times
        return times[width - 1] if width <= len(times) else inf

    def next(self) -> float:
        """When the first of those that are taken gets free."""
        return next((time for time in self.times if time), inf)

    def take(self, width: int, until_s: float) -> None:
        """Take the first so many."""
        times = self.times
        del times[:width]
        for _ in range(width):
            insort(times, until_s)


class Choice(msgspec.Struct, frozen=True):
    """A configuration that could run a call; times in seconds."""

    configuration: Configuration
    slots: Slots
    width: int
    mean_s: float
    safe_s: float
    """What the run time will hardly exceed."""
    share: float
    """Of that time, the call's own: it may have to bear a fuller batch."""
    parts: int = 1
    """How many it is split into, each on an instance of its own; ``width`` is of all."""

    def start(self, view: View) -> float:
        """When it could start, from now."""
        start = self.slots.start(self.width)
        # The slots may be free and yet the instance not: it is still loading, or they are not those that it needs.
        return start if start or view.idle[self.configuration] else self.slots.next()


class Ticket(msgspec.Struct, frozen=True, order=True):
    """A waiting call, and when its turn is: the least goes first."""

    rank: int
    """In how many groups of slots it fits before its deadline."""
    urgency: float
    number: int
    """Breaks ties."""
    record: CallRecord
    choices: list[Choice]
    splits: list[Choice]
    """Those of its parts, where it is split."""
    left_s: float
    """Until the call's deadline."""


class Offer(msgspec.Struct, frozen=True):
    """What a choice comes to at the moment; times in seconds."""

    configuration: Configuration
    price: float
    """Of a second on all the slots that it takes."""
    start_s: float
    mean_s: float
    safe_s: float
    share: float = 1.0
    """See `Choice.share`."""
    parts: int = 1
    """See `Choice.parts`."""


@dataclass(slots=True)
class Entry:
    """A line of the list."""

    ticket: Ticket
    choice: Choice
    start_s: float
    """From now."""
