"""Joules of a run, and where they went."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from heterosis.scheduling.estimates import Estimates
from heterosis.terms import UNKNOWN, Configuration, Energy, OperatingPoint, Quality

NOTHING = Energy(0.0, Quality.COUNTER)
"""No energy, for certain: what a sum starts from."""


@dataclass(slots=True)
class Joules:
    """Energy of a run by what it was spent on. The parts add up to the total; an unknown part makes it unknown."""

    idle: Energy = UNKNOWN
    """Of the devices that were on, whatever ran on them: their idle power, and their power asleep."""
    dynamic: Energy = UNKNOWN
    """Of batches, above idle: each draws the power of its operating point for as long as it really ran, so that a batch
    15 % slower than profiled costs 15 % more."""
    switching: Energy = UNKNOWN
    """Of changes between power modes."""
    starting: Energy = UNKNOWN
    """Of loading: each slot of an instance that loads draws its active power."""
    wasted: Energy = UNKNOWN
    """Of the dynamic energy, what was spent on requests that were not answered in time."""
    idle_by: dict[tuple[str, str, str], Energy] = field(default_factory=dict)
    """The idle part by node, device and power mode; ``sleep`` stands for the device asleep."""

    @property
    def total(self) -> Energy:
        """The sum of the parts."""
        return self.idle + self.dynamic + self.switching + self.starting


class DynamicPower:
    """The power above idle that a batch draws while it runs, from the operating points."""

    def __init__(self, points: Iterable[OperatingPoint]) -> None:
        """Take the operating points."""
        points = tuple(points)
        self._estimates = Estimates(points)
        self._known: dict[tuple[Configuration, int], float | None] = {}
        self._qualities: dict[Configuration, Energy] = defaultdict(lambda: NOTHING)
        for point in points:
            if point.dynamic_energy.joules is not None:
                self._qualities[point.configuration] += point.dynamic_energy * 0.0
        self._used: set[Configuration] = set()

    def watts(self, configuration: Configuration, size: int) -> float | None:
        """Mean power of a batch of so many items; None where unknown."""
        key = (configuration, size)
        if key not in self._known:
            self._used.add(configuration)
            joules = self._estimates.joules(configuration, size)
            mean_s = self._estimates.mean(configuration, size)
            self._known[key] = None if joules is None or mean_s <= 0 else joules * size / mean_s
        return self._known[key]

    def energy(self, joules: float | None) -> Energy:
        """Give joules the worst quality of all configurations that were asked for."""
        quality = sum((self._qualities[configuration] for configuration in self._used), NOTHING).quality
        return UNKNOWN if joules is None else Energy(joules, quality)
