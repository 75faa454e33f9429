"""A counter of joules that the hardware keeps: it may wrap around, be reset, or go away."""

import time
from collections.abc import Callable

from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import HardwareError

MOST_POWER_W = 1000.0
"""No part of a machine that has a counter of its own draws more, so none wraps around sooner than that."""

READ_ERRORS = (OSError, ValueError, HardwareError)


class Register:
    """The joules of one counter since now. What cannot be known stays unknown from then on: it is never 0 J."""

    def __init__(
        self,
        read: Callable[[], float],
        *,
        wraps_at_j: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``read`` returns the counter in joules; it begins at 0 again after ``wraps_at_j``.

        ``read`` says by an OSError, ValueError or HardwareError that it cannot; the first reading may raise it.
        """
        self._read = read
        self._wraps_at_j = wraps_at_j
        self._clock = clock
        self._last = read()
        self._at = clock()
        self._joules = 0.0
        self.lost = ""
        """Why it is unknown; empty while it is known."""

    def energy(self) -> Energy:
        """Read the counter."""
        if not self.lost:
            self._advance()
        return UNKNOWN if self.lost else Energy(self._joules, Quality.COUNTER)

    def _advance(self) -> None:
        try:
            found = self._read()
        except READ_ERRORS as error:
            self.lost = f"it cannot be read any more: {error}"
            return
        now = self._clock()
        spent = found - self._last
        if self._wraps_at_j is not None and (now - self._at) * MOST_POWER_W > self._wraps_at_j:
            self.lost = f"it was not read for {now - self._at:.0f} s, in which it may have wrapped around unseen"
        elif spent < 0 and self._wraps_at_j is None:
            self.lost = "it fell, as after a restart of its driver"
        else:
            self._joules += spent if spent >= 0 or self._wraps_at_j is None else spent + self._wraps_at_j
        self._last, self._at = found, now
