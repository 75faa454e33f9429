"""Devices without instances: which of them sleep, until when, and what they still have in memory.

A device that loses its last instances goes to sleep where that pays (`heterosis.planning.fleet.tuning.resting`), with
what it hosted still in memory: it wakes in less time than it would take to load that again, and for less energy. One
that was not needed for so long is switched off.
"""

from collections.abc import Callable, Collection
from math import inf

from heterosis.control.speeds import profiled
from heterosis.scheduling.state import Unit
from heterosis.terms import Configuration, Placement

RestS = Callable[[Unit, Collection[Placement]], float]
"""For how long a device that hosted these sleeps before it is switched off, in seconds; 0 where it cannot sleep."""
GO_TOGETHER_S, COME_TOGETHER_S = 10.0, 1.0
"""Instances of a device that go within this time go together, since each drains first; those that are started within
this time after it woke come together."""


class Rests:
    """Follows what devices host. Moments are seconds."""

    def __init__(self, rest_s: RestS) -> None:
        """Know of no device yet."""
        self._rest_s = rest_s
        self._hosted: dict[Unit, Collection[Placement]] = {}
        self._gone: dict[Unit, list[tuple[float, Placement]]] = {}
        self._kept: dict[Unit, frozenset[Configuration]] = {}
        self._until: dict[Unit, float] = {}
        self._woken_at: dict[Unit, float] = {}

    def present(self, unit: Unit, placements: Collection[Placement], now: float, *, lost: bool = False) -> None:
        """Note what a device hosts from now on; what it is left without is not ``lost`` unless the device failed."""
        before = self._hosted.get(unit, ())
        gone = [] if lost else [(now, each) for each in before if each not in placements]
        since = now - GO_TOGETHER_S
        self._gone[unit] = [*(each for each in self._gone.get(unit, ()) if each[0] >= since and not lost), *gone]
        self._hosted[unit] = placements
        if placements and not before and now < self.sleeps_until(unit):
            self._woken_at[unit] = now
        if placements or not before:
            return
        kept = [placement for _, placement in self._gone[unit]]
        self._kept[unit] = frozenset(profiled(each.configuration) for each in kept)
        self._until[unit] = now + self._rest_s(unit, kept) if kept else -inf

    def sleeps_until(self, unit: Unit) -> float:
        """When a device is switched off that has no instances; a moment that is over where it does not sleep."""
        return self._until.get(unit, -inf)

    def asleep(self, now: float) -> dict[Unit, frozenset[Configuration]]:
        """What each device that sleeps has in memory."""
        return {
            unit: self._kept[unit] for unit, until in self._until.items() if now < until and not self._hosted.get(unit)
        }

    def keeps(self, placement: Placement, now: float) -> bool:
        """Whether a device has that very configuration in memory still: it sleeps, or was woken just now."""
        unit = placement.unit
        if self._hosted.get(unit):
            there = now <= self._woken_at.get(unit, -inf) + COME_TOGETHER_S
        else:
            there = now < self.sleeps_until(unit)
        return there and profiled(placement.configuration) in self._kept[unit]


def never(_unit: Unit, _hosted: Collection[Placement]) -> float:
    """No device sleeps."""
    return 0.0
