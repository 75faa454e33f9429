"""Governors: power modes set as an operating system sets them, by who knows how busy a device is but no deadline.

- `Race`, race to idle: full speed, on the fullest device that has a slot free, so that the others can sleep.
- `Performance`: full speed, on the emptiest device; Linux' ``performance`` under a scheduler that spreads load.
- `OnDemand`: Linux' ``ondemand`` (Pallipadi and Starikovskiy, "The ondemand governor", OLS 2006). It looks at the load
  of each processor since the last sample: beyond 80 % it goes to full speed, else to the lowest clock at which the load
  would stay at 80 %. Processors that share a clock get the highest that is asked for by one of them.

All take calls by deadline, less the time that what follows takes, so that what they are compared by is modes alone.

Departures: a device keeps its mode while it runs something (a rule of the core), so that `OnDemand` sets it where a
device is empty, and gives a device that is slower than it asks for nothing more until it is. A slot counts as busy
until its batch is expected to end, since a policy does not hear of ends. Clocks are read off the run times.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.policies.domains import ByDeadline, Domain, domains, heads, running
from heterosis.scheduling.policy import Decision, Dispatch
from heterosis.scheduling.state import CallRecord, InstanceRecord, Unit
from heterosis.scheduling.view import View

UP_THRESHOLD = 0.8
"""Load beyond which `OnDemand` goes to full speed; the kernel's default."""
SAMPLE_S = 0.1
"""Time over which `OnDemand` looks at loads."""


class Race(ByDeadline):
    """Full speed, few devices."""

    reason = "full speed, fullest device"

    def decide(self, view: View) -> Iterator[Decision]:
        """Serve the most urgent call that something is free for, until none is."""
        while True:
            for head in heads(view):
                among = domains(view, head)
                instance = self.choose(view, head, among) if among else None
                if instance is not None:
                    calls = view.queues[head.call.stage].batch(instance.placement.max_batch)
                    yield Dispatch(instance, calls, self.reason)
                    break
            else:
                return

    def choose(self, view: View, head: CallRecord, among: Sequence[Domain]) -> InstanceRecord | None:
        """Take the fastest that is open on the fullest device."""
        return fastest(view, head, min(among, key=lambda each: each.free))


class Performance(Race):
    """Full speed, all devices."""

    reason = "full speed, emptiest device"

    def choose(self, view: View, head: CallRecord, among: Sequence[Domain]) -> InstanceRecord | None:
        """Take the fastest that is open on the emptiest device."""
        return fastest(view, head, max(among, key=lambda each: each.free))


class OnDemand(Race):
    """The speed that the load of late asked for, all devices."""

    reason = "speed by load, emptiest device"

    def __init__(self) -> None:
        """Start without any load."""
        self._ran: dict[Unit, dict[Place, deque[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(deque))
        """Begin, expected end and speed (a share of the highest) of what ran on each slot of late."""

    def choose(self, view: View, head: CallRecord, among: Sequence[Domain]) -> InstanceRecord | None:
        """Take the emptiest device that is fast enough for its load, in the slowest mode that is."""
        size, busy = head.call.size, {instance.unit for _, instance in running(view)}
        top_s = min(view.estimates.mean(each, size) for each in view.capacity.configurations[head.call.stage])
        offers = []
        for domain in among:
            asked = self._asked(domain.unit, view.now)
            for configuration, instance in domain.open.items():
                run_s = view.estimates.mean(configuration, size)
                speed = top_s / run_s if run_s > 0 else 1.0
                slow = speed < asked
                if not slow or domain.unit not in busy:
                    offers.append(((slow, -domain.free, -speed if slow else speed), speed, run_s, instance))
        if not offers:
            return None
        _, speed, run_s, instance = min(offers, key=lambda offer: offer[0])
        for place in instance.places:
            self._ran[instance.unit][place].append((view.now, view.now + run_s, speed))
        return instance

    def _asked(self, unit: Unit, now: float) -> float:
        """The speed that the busiest slot of a device asks for, as a share of the highest."""
        since, asked = now - SAMPLE_S, 0.0
        for ran in self._ran[unit].values():
            while ran and ran[0][1] <= since:
                ran.popleft()
            times = [(min(end, now) - max(begin, since), speed) for begin, end, speed in ran]
            if sum(busy for busy, _ in times) > UP_THRESHOLD * SAMPLE_S:
                return 1.0
            asked = max(asked, sum(busy * speed for busy, speed in times) / SAMPLE_S / UP_THRESHOLD)
        return asked


def fastest(view: View, head: CallRecord, domain: Domain) -> InstanceRecord:
    """Give what runs a call in the least time on a device."""
    return domain.open[min(domain.open, key=lambda each: view.estimates.mean(each, head.call.size))]
