"""What to measure for: the operating points that a plan would rest on."""

from collections.abc import Callable, Sequence

from heterosis.planning import Judge as PlanningJudge
from heterosis.planning import Limits, Snapshot, Verify, cheapest, limits_that_hold, most_capable
from heterosis.terms import Choice, OperatingPoint

Points = Sequence[OperatingPoint]
Snap = Callable[[Points], Snapshot]
"""All that a plan depends on, with these points for a profile."""


class Cheapest:
    """The plan of least cost, as it would be once it was judged and tried; see `heterosis.profiling.search.Decide`."""

    def __init__(self, snap: Snap, judge: PlanningJudge | None, verify: Verify | None) -> None:
        """Start from the limits that the snapshot asks for."""
        self._snap = snap
        self._judge = judge
        self._verify = verify
        self._limits: Limits | None = None

    def __call__(self, points: Points) -> Choice | None:
        """Return what the cheapest plan rests on."""
        return cheapest(self._snap(points), self._limits)

    def settle(self, known: Points) -> bool:
        """Tighten the limits as the plan of known points needs it when it is tried; say whether that changed them."""
        tried = limits_that_hold(self._snap(known), self._judge, self._verify)
        if tried is None or tried == self._limits:
            return False
        self._limits = tried
        return True


class MostCapable:
    """The plan for the highest rate; see `heterosis.profiling.search.Decide`."""

    def __init__(self, snap: Snap) -> None:
        """Take what a plan depends on besides the points; its rate does not matter."""
        self._snap = snap

    def __call__(self, points: Points) -> Choice | None:
        """Return what the plan for the highest rate rests on."""
        return most_capable(self._snap(points))

    def settle(self, _known: Points) -> bool:
        """Nothing is tried."""
        return False
