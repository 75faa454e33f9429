"""Pace: how slow the devices may run, given what arrives and what waits.

The load is the sum of the requests' *densities*, after AVR (Yao, Demers and Shenker, "A scheduling model for reduced
CPU energy", FOCS 1995): a request's work over the time from its arrival to its deadline. All of its work counts as soon
as it comes, so that a burst is seen before its later stages, which may be most of it, are there to wait. AVR follows
this load up and down; here a mean over a longer time holds in lulls, since what runs slowly does not soon get faster.
"""

from collections import defaultdict
from collections.abc import Mapping
from heapq import heappop, heappush
from math import exp

from heterosis.scheduling.state import CallRecord, Unit
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

KNEE = 0.92
"""Share of what the fleet does at its present pace that the mean load may be; beyond it, queues grow long by chance.
The density needs no such margin: it is what came, chance included."""
MEMORY = 5.0
"""Time over which the mean load is taken, as a multiple of the latency objective."""
PATIENCE = 0.55
"""Time in which what waits is to be worked off, as a multiple of the latency objective."""

Mode = tuple[str, str]
"""A device type in a power mode."""


def mode_of(configuration: Configuration) -> Mode:
    """The mode that a device must be in to run a configuration."""
    return configuration.device_type, configuration.power_mode


class Pace:
    """What the devices' modes cost in speed, and the load."""

    def __init__(self, view: View) -> None:
        """Start from the load that is planned."""
        self.capacity, plan = view.capacity, view.plan
        self.loss = _losses(view)
        """Share of a device's speed that each mode costs, over all stages."""
        self._limit_s = plan.slo.latency_ms / 1e3
        self._devices = len({placement.unit for placement in plan.placements})
        self._mean = plan.rate_rps * self.capacity.request_work["", 1] / self.capacity.slots
        self._at = view.now
        self._density = 0.0
        self._ends: list[tuple[float, str, float]] = []
        """What the density is made of, the earliest deadline first: that, the request, and its part."""
        self._work: dict[str, tuple[float, float]] = {}
        """Work of each request that has come to wait, and what of it, and of what follows, is in the load."""

    def arrived(self, view: View, record: CallRecord) -> None:
        """Take a call, and what follows it, into the load, unless it was foreseen by an earlier call of its request."""
        self._forget(view.now)
        request, call = record.request, record.call
        left_s = request.deadline - view.now
        if left_s <= 0:
            return
        came, counted = self._work.get(request.id, (0.0, 0.0))
        came += self.capacity.work[call.stage, call.size]
        more = max(came + self.capacity.tails[call.stage] - counted, 0.0)
        self._work[request.id] = came, counted + more
        part = more / max(left_s, more) / self.capacity.slots  # a slot for all of the time is the most that it can use
        heappush(self._ends, (request.deadline, request.id, part))
        self._density += part
        self._mean = self._faded(view.now) + more / self.capacity.slots / (MEMORY * self._limit_s)
        self._at = view.now

    def resolve(self, view: View, modes: Mapping[Unit, Mode]) -> tuple[set[Unit], float]:
        """Given the modes of the devices that run something, tell which of them are to be left, and what room is left.

        That is how much of one device's speed may still be given up; negative where all devices are too slow.
        """
        waiting = sum(len(queue) * self.capacity.work[stage, 1] for stage, queue in view.queues.items())
        count = sum(map(len, view.queues.values()))
        free = (1 - min(view.pools.busy / self.capacity.slots, 1.0)) * self.capacity.slots
        excess = waiting * max(1 - free / count, 0.0) if count else 0.0
        self._forget(view.now)
        speed = max(self._density, self._faded(view.now) / KNEE)
        speed += excess / self.capacity.slots / (PATIENCE * self._limit_s)
        room = self._devices * (1 - min(speed, 1.0)) - sum(self.loss[mode] for mode in modes.values())
        leaving: set[Unit] = set()
        for unit in sorted(modes, key=lambda unit: -self.loss[modes[unit]]):
            gain = self.loss[modes[unit]]
            if room + gain / 2 >= 0 or not gain:
                break
            leaving.add(unit)
            room += gain
        return leaving, room

    def _faded(self, now: float) -> float:
        return self._mean * exp((self._at - now) / (MEMORY * self._limit_s))

    def _forget(self, now: float) -> None:
        """Leave out requests whose time is over."""
        while self._ends and self._ends[0][0] <= now:
            _, request, part = heappop(self._ends)
            self._work.pop(request, None)
            self._density -= part
        if not self._ends:
            self._density = 0.0  # what rounding has left


def _losses(view: View) -> dict[Mode, float]:
    """By how much less a device does in each mode than in its fastest one, weighed by the calls that are expected."""
    took: dict[Mode, float] = defaultdict(float)
    least: dict[Mode, float] = defaultdict(float)
    for stage, configurations in view.capacity.configurations.items():
        times: dict[Mode, float] = {}
        for each in configurations:
            time = view.capacity.slot_time[each, 1] * view.capacity.calls_per_request.get(stage, 0.0)
            times[mode_of(each)] = min(time, times.get(mode_of(each), time))
        for mode, time in times.items():
            took[mode] += time
            least[mode] += min(other for (kind, _), other in times.items() if kind == mode[0])
    return {mode: 1 - least[mode] / time if time > 0 else 0.0 for mode, time in took.items()}
