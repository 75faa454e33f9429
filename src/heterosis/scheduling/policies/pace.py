"""Pace: how slow the devices may run, given what arrives and what waits."""

from collections import defaultdict
from collections.abc import Mapping
from math import exp

from heterosis.scheduling.state import Unit
from heterosis.scheduling.view import View
from heterosis.terms import Call, Configuration

KNEE = 0.92
"""Load, as a share of what the fleet does at its present pace, that it may not exceed; beyond it, queues grow long."""
MEMORIES = (0.5, 5.0)
"""Times over which the load is averaged, as multiples of the latency objective. The larger average holds: it rises at
once with a burst and does not fall with every lull."""

PATIENCE = 0.6
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
        self._devices = len({(placement.node, placement.device) for placement in plan.placements})
        self._loads = dict.fromkeys(MEMORIES, plan.rate_rps * self.capacity.work_of_request(1) / self.capacity.slots)
        self._at = view.now

    def arrived(self, view: View, call: Call) -> None:
        """Take a call into the load."""
        work = self.capacity.work(call.stage, call.size)
        for memory in MEMORIES:
            span_s = memory * self._limit_s
            self._loads[memory] = self._load(memory, view.now) + work / span_s / self.capacity.slots
        self._at = view.now

    def resolve(self, view: View, modes: Mapping[Unit, Mode]) -> tuple[set[Unit], float]:
        """Given the modes of the devices that run something, tell which of them are to be left, and what room is left.

        That is how much of one device's speed may still be given up; negative where all devices are too slow.
        """
        waiting = sum(len(queue) * self.capacity.work(stage, 1) for stage, queue in view.queues.items())
        count = sum(map(len, view.queues.values()))
        free = (1 - view.busy_share) * self.capacity.slots
        excess = waiting * max(1 - free / count, 0.0) if count else 0.0
        load = max(self._load(memory, view.now) for memory in MEMORIES)
        load += excess / self.capacity.slots / (PATIENCE * self._limit_s)
        room = self._devices * (1 - min(load / KNEE, 1.0)) - sum(self.loss[mode] for mode in modes.values())
        leaving: set[Unit] = set()
        for unit in sorted(modes, key=lambda unit: -self.loss[modes[unit]]):
            gain = self.loss[modes[unit]]
            if room + gain / 2 >= 0 or not gain:
                break
            leaving.add(unit)
            room += gain
        return leaving, room

    def _load(self, memory: float, now: float) -> float:
        return self._loads[memory] * exp((self._at - now) / (memory * self._limit_s))


def _losses(view: View) -> dict[Mode, float]:
    """By how much less a device does in each mode than in its fastest one, weighed by the calls that are expected."""
    took: dict[Mode, float] = defaultdict(float)
    least: dict[Mode, float] = defaultdict(float)
    for stage, configurations in view.capacity.configurations.items():
        times: dict[Mode, float] = {}
        for each in configurations:
            time = view.capacity.slot_time(each, 1) * view.capacity.calls_per_request.get(stage, 0.0)
            times[mode_of(each)] = min(time, times.get(mode_of(each), time))
        for mode, time in times.items():
            took[mode] += time
            least[mode] += min(other for (kind, _), other in times.items() if kind == mode[0])
    return {mode: 1 - least[mode] / time if time > 0 else 0.0 for mode, time in took.items()}
