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

    def __call__(self, known: Points, hopeful: Points) -> Choice | None:
        """Tighten the limits as the plan of the known points needs it, once no other point can better that."""
        measured = {(point.configuration, point.batch) for point in known}
        while True:
            choice = cheapest(self._snap(hopeful), self._limits)
            if choice is None or not choice.uses <= measured:
                return choice
            tried = limits_that_hold(self._snap(known), self._judge, self._verify)
            if tried is None or tried == self._limits:
                return choice
            self._limits = tried


def capacity(snap: Snap) -> Callable[[Points, Points], Choice | None]:
    """Decide on the plan for the highest rate."""
    return lambda _, hopeful: most_capable(snap(hopeful))
