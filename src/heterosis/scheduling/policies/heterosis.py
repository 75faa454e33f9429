"""Ours: late binding, feasible first, the scarce first, and each call where its time is cheapest.

- A call's deadline is its request's, less the time that must be left for what follows its stage (the plan's tail).
- A call is hopeless when not even the fastest configuration, started now, would meet its request's deadline on average;
  it is dropped at once, so that it costs nothing more. A request is refused at its arrival when the work already
  admitted, spread over all slots, leaves it no time.
- The waiting calls are listed, on paper, on the groups of slots that could run them, each from the time at which a slot
  gets free. Calls that fit before their deadlines in fewer places go first; among equals the one with the least slack,
  the shorter the sooner. Fitting is judged at the 95th percentile of the run time; a call that fits nowhere so surely
  is given its chance where it fits on average.
- Each goes where it costs least: its time, and the time it waits for the slot, at the price of that slot (see
  `prices`), and its joules. With little to do joules decide, under pressure time does.
- What is listed to start now is started; the rest waits, bound to nothing, and is listed anew at the next event. So a
  slot that only some calls can use is left free for them rather than filled with what others will soon have time for.
- A batch is as large as lets its most urgent call meet its deadline, but calls are first spread over idle instances: a
  request with a wide fan-out is done sooner on all of them. In a crowd a call must bear a full batch, lest the most
  urgent shrink every batch; and the more calls are dropped on the way, the more time is left for what follows.
- Where several classes of requests miss deadlines, those that miss more of them go sooner.

The time of a decision grows with waiting calls (at most `LOOK` of a stage are listed) and configurations, not with
instances.

Sources: late binding with deadlines less downstream time as in PARD; early refusal as in Clockwork (OSDI'20, section
4.2); opportunity cost in place of the fixed coefficients of KAIROS (HPDC'23, section 5).
"""

from bisect import insort
from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.fairness import Fairness
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse, Wake
from heterosis.scheduling.prices import Prices
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority, Queue
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

SAFE_PERCENT = 95
"""The percentile of a run time that has to fit before a deadline."""

LOOK = 32
"""Calls of a stage that are listed at most, the most urgent first."""

MEMORY = 0.01
"""Weight of one call in the share of slots that are found busy."""


class _Choice(NamedTuple):
    """A configuration that could run a call."""

    configuration: Configuration
    slots: "_Slots"
    width: int
    mean_s: float
    safe_s: float

    def start(self, view: View) -> float:
        """When it could start, in seconds from now."""
        start = self.slots.start(self.width)
        # The slots may be free and yet the instance not: it is still loading, or they are not those that it needs.
        return start if start or view.idle(self.configuration) else self.slots.next()


class _Slots:
    """When the slots of a group get free, in seconds from now; the list on paper."""

    def __init__(self, view: View, group: int) -> None:
        """See who has them."""
        free = max(len(view.idle(each)) * view.capacity.width[each] for each in view.capacity.members[group])
        ends = view.ends(group)[:LOOK]
        self.price = 1.0
        self.times = [0.0] * min(free, LOOK) + [max(end - view.now, 1e-9) for end, _ in ends]

    def start(self, width: int) -> float:
        """When so many are free; never, where there are not so many."""
        return self.times[width - 1] if width <= len(self.times) else inf

    def next(self) -> float:
        """When the first of those that are taken gets free."""
        return next((time for time in self.times if time), inf)

    def take(self, width: int, until_s: float) -> None:
        """Take the first so many."""
        del self.times[:width]
        for _ in range(width):
            insort(self.times, until_s)


class _Listed(NamedTuple):
    """A waiting call, and when it goes."""

    rank: int
    urgency: float
    number: int
    """Breaks ties."""
    record: CallRecord
    choices: list[_Choice]
    left_s: float
    """Until the call's deadline."""


BRAKE = 40.0
"""Weight of time against joules when half of the slots are busy."""

CROWDED = 0.97
"""Share of busy slots beyond which only full batches keep up."""

MORE_CAUTION, LESS_CAUTION, MOST_CAUTION = 0.05, 0.002, 3.0
"""How caution grows with each call that is dropped after its request's first stage, and goes with each that is run."""

NO_HURRY = 1 << 30
"""The rank of calls whose own deadline cannot be met any more, though that of their request might."""


class Heterosis:
    """Feasible first, the scarce first, at the least cost of time and joules."""

    def __init__(self) -> None:
        """Know nothing of the load yet."""
        self._prices = Prices()
        self._fairness = Fairness()
        self._busy = 0.0
        """Share of the slots that calls find busy, smoothed."""
        self._caution = 1.0
        """How many times the plan's tail is left for what follows a stage: more where much is dropped on the way."""

    def admit(self, view: View, request: Request) -> Refuse | None:
        """Refuse what the work already admitted leaves no time for."""
        backlog = view.backlog.before(request.deadline - view.now)
        if backlog <= 0:
            return None
        work = backlog + view.capacity.work_of_request(request.size)
        if not view.capacity.longest_tail:
            work /= 2  # what is dropped before its only stage has cost nothing, so refuse what is sure
        late = view.now + work * view.backlog.strain / view.capacity.slots - request.deadline
        if late <= 0:
            return None
        self._fairness.note(request.request_class, missed=True)
        return Refuse(
            Refusal.OVERLOAD,
            f"{backlog:.3f} s of admitted work leave no time before the deadline",
            retry_after_s=late,
        )

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest time at which the fastest configuration could start it."""
        deadline = record.request.deadline - view.capacity.tails.get(record.call.stage, 0.0)
        self._prices.note(view, record, deadline - view.now)
        self._busy += MEMORY * (view.busy_share - self._busy)
        return (deadline - _fastest(view, record),)

    def decide(self, view: View) -> Iterator[Decision]:
        """Drop hopeless heads, list the rest, and start what is listed to start now."""
        waiting = [(stage, queue) for stage, queue in view.queues.items() if queue]
        for stage, queue in waiting:
            tail = view.capacity.tails.get(stage, 0.0)
            while (head := queue.head()) is not None and view.now > head.priority[0] + tail:
                self._fairness.note(head.request.request_class, missed=True)
                if tail < view.capacity.longest_tail:  # it has come a long way for nothing
                    self._caution = min(self._caution * (1 + MORE_CAUTION), MOST_CAUTION)
                yield Drop(head, Refusal.LATE, f"would end {(view.now - head.priority[0] - tail) * 1e3:.0f} ms late")
        if any(self._open(view, stage) for stage, _ in waiting):
            yield from self._start(view, [queue for _, queue in waiting])
            left = [head for _, queue in waiting if (head := queue.head()) is not None]
            if left and not view.busy_share:  # no batch will end and bring the next event
                at = min(head.priority[0] + view.capacity.tails.get(head.call.stage, 0.0) for head in left)
                yield Wake(max(at, view.now) + 1e-3, "what waits then is hopeless")

    @staticmethod
    def _open(view: View, stage: str) -> bool:
        return any(view.idle(each) or view.spare(each) for each in view.capacity.configurations.get(stage, ()))

    # --- listing

    def _start(self, view: View, queues: Sequence[Queue]) -> Iterator[Dispatch]:
        if len(queues) == 1 and len(queues[0]) == 1:
            alone = self._alone(view, queues[0])
            if alone is not None:
                yield alone
                return
        slots: dict[int, _Slots] = {}
        waiting = [record for queue in queues for record in queue.first(LOOK)]
        listed = sorted(self._listed(view, number, record, slots) for number, record in enumerate(waiting))
        for each in listed:
            if each.record.state is not CallState.WAITING:
                continue  # a batch took it along
            choice = self._choose(view, each)
            if choice is None:
                continue
            start = choice.start(view)
            instance = self._instance(view, choice.configuration, now=not start)
            if instance is not None:
                dispatch = self._batch(view, instance, each, listed)
                for record in dispatch.calls:
                    self._caution -= LESS_CAUTION * (self._caution - 1)
                    missed = view.now + start + choice.mean_s > record.request.deadline
                    self._fairness.note(record.request.request_class, missed=missed)
                yield dispatch
            time = view.capacity.slot_time(choice.configuration, each.record.call.size) / choice.width
            choice.slots.take(choice.width, start + time)

    def _alone(self, view: View, queue: Queue) -> Dispatch | None:
        """Start the only call that waits where there is nothing to choose; the common case, and so a short cut."""
        record = queue.head()
        assert record is not None  # noqa: S101
        configurations = view.capacity.configurations.get(record.call.stage, ())
        if len(configurations) != 1:
            return None
        instance = next(iter(view.idle(configurations[0]) or view.spare(configurations[0])), None)
        if instance is None:
            return None
        self._fairness.note(record.request.request_class, missed=record.priority[0] < view.now)
        self._caution -= LESS_CAUTION * (self._caution - 1)
        return Dispatch(instance, (record,), "alone")

    def _listed(self, view: View, number: int, record: CallRecord, slots: dict[int, _Slots]) -> _Listed:
        capacity, estimates = view.capacity, view.estimates
        size, waiting, crowded = record.call.size, len(view.queues[record.call.stage]), self._busy > CROWDED
        tail = capacity.tails.get(record.call.stage, 0.0)
        left = record.request.deadline - self._caution * tail - view.now
        choices = []
        slacks: dict[int, float] = {}
        fastest, possible = left, False
        for configuration in capacity.configurations.get(record.call.stage, ()):
            group = capacity.group[configuration]
            of = slots.get(group)
            if of is None:
                of = slots[group] = _Slots(view, group)
                of.price = self._prices.of(group)
            # In a crowd only full batches keep up, so a call must bear one, lest the most urgent shrink them all.
            items = min(max(capacity.max_batch[configuration], size), size * waiting) if crowded else size
            mean = estimates.mean(configuration, items)
            safe = estimates.quantile(configuration, items, SAFE_PERCENT)
            choice = _Choice(configuration, of, capacity.width[configuration], mean, safe)
            start = choice.start(view)
            if start == inf:
                continue
            choices.append(choice)
            slack = left - start - safe
            if slack >= slacks.get(group, 0.0):
                slacks[group] = slack
            possible |= start + mean <= left
            fastest = min(fastest, mean)
        rank = len(slacks) if slacks or possible else NO_HURRY
        urgency = min(slacks.values(), default=0.0) * (fastest + tail)
        urgency /= self._fairness.weight(record.request.request_class)
        return _Listed(rank, urgency, number, record, choices, left)

    def _choose(self, view: View, each: _Listed) -> _Choice | None:
        starts = [choice.start(view) for choice in each.choices]
        timed = list(zip(each.choices, starts, strict=True))
        fitting = [(choice, start) for choice, start in timed if start + choice.safe_s <= each.left_s]
        if not fitting:
            fitting = [(choice, start) for choice, start in timed if start + choice.mean_s <= each.left_s]
        if not fitting and each.rank == NO_HURRY:
            fitting = [(choice, start) for choice, start in timed if not start]
        if len(fitting) < 2:  # noqa: PLR2004 - nothing to choose
            return fitting[0][0] if fitting else None
        size = each.record.call.size
        joules = [view.estimates.joules(choice.configuration, size) or 0.0 for choice, _ in fitting]
        times = [choice.slots.price * choice.width * (start + choice.mean_s) for choice, start in fitting]
        least_joules, least_time = min(joules), min(times)
        if least_joules and least_time:  # unknown energy decides nothing
            brake = BRAKE * self._busy / max(1 - self._busy, 0.01) / least_time
            times = [brake * time + spent / least_joules for time, spent in zip(times, joules, strict=True)]
        return fitting[times.index(min(times))][0]

    # --- starting

    @staticmethod
    def _instance(view: View, configuration: Configuration, *, now: bool) -> InstanceRecord | None:
        """An instance that can take a batch: idle, or else, to hide the hop, one that runs its last."""
        return next(iter(view.idle(configuration) if now else view.spare(configuration)), None)

    @staticmethod
    def _batch(view: View, instance: InstanceRecord, first: _Listed, listed: list[_Listed]) -> Dispatch:
        calls, items, left = [first.record], first.record.call.size, first.left_s
        most = instance.placement.max_batch
        if most > items:
            stage, configuration = first.record.call.stage, instance.configuration
            others = [
                each
                for each in listed
                if each.record.call.stage == stage
                and each.record is not first.record
                and each.record.state is CallState.WAITING
            ]
            share = -(-(len(others) + 1) // max(len(view.idle(configuration)), 1))
            for each in others:
                if len(calls) >= share:
                    break
                items += each.record.call.size
                left = min(left, each.left_s)
                safe = view.estimates.quantile(configuration, items, SAFE_PERCENT)
                if items > most or safe > left:
                    break
                calls.append(each.record)
        return Dispatch(instance, calls, f"{first.left_s * 1e3:.0f} ms left, fits in {first.rank} places")


def _fastest(view: View, record: CallRecord) -> float:
    configurations = view.capacity.configurations.get(record.call.stage, ())
    return min((view.estimates.mean(each, record.call.size) for each in configurations), default=0.0)
