"""Which devices to leave out of plans for a while: those that fail, or come and go.

The scheduling core restarts an instance that goes down, and re-runs its calls. That is enough for a death now and then.
A device on which that happens `MOST` times within `WITHIN_S`, or one that does not get its instances to run, is held
out, for longer each time; when that is over it may be planned for again.
"""

from collections import deque

from heterosis.scheduling.state import Unit

MOST, WITHIN_S = 3, 60.0
APART_S = 0.5
"""Instances of a device that go down together count once."""
HOLD_S, LONGEST_HOLD_S = 30.0, 600.0
FORGIVEN_S = 1800.0
"""After so long without a failure, the next hold is a first one again."""


class Health:
    """Follows what goes down unasked."""

    def __init__(self) -> None:
        """Think well of all devices."""
        self._failed_at: dict[Unit, deque[float]] = {}
        self._holds: dict[Unit, int] = {}
        self.held_until: dict[Unit, float] = {}

    def went_down(self, unit: Unit, now: float) -> bool:
        """Note that an instance went down unasked; tell whether its device is held out for that."""
        times = self._failed_at.setdefault(unit, deque(maxlen=MOST))
        if not times or now - times[-1] >= APART_S:
            times.append(now)
        if len(times) == MOST and now - times[0] <= WITHIN_S:
            self.hold_out(unit, now)
            return True
        return False

    def hold_out(self, unit: Unit, now: float) -> None:
        """Leave a device out of plans for a while."""
        times = self._failed_at.pop(unit, deque())
        before = self.held_until.get(unit)
        if before is not None and now - before > FORGIVEN_S:
            self._holds[unit] = 0
        if before is None or before <= now or times:
            hold_s = min(HOLD_S * 2.0 ** self._holds.get(unit, 0), LONGEST_HOLD_S)
            self._holds[unit] = self._holds.get(unit, 0) + 1
            self.held_until[unit] = now + hold_s

    def held_out(self, now: float) -> set[Unit]:
        """The devices to leave out now."""
        return {unit for unit, until in self.held_until.items() if until > now}
