"""When to measure a device anew: it is not what it was profiled as, that is settled, and it has time."""

from collections.abc import Callable, Mapping

from heterosis.scheduling.state import Unit

SETTLED_S = 20.0
"""For how long a device must have been taken for what it is."""
QUIET = 0.3
"""How busy it may have been over the last minute, as a share."""


class Remeasuring:
    """Follows which devices have been measured as what they are taken for."""

    def __init__(self) -> None:
        """Know of none that would have to be."""
        self._since: dict[Unit, tuple[float, float]] = {}
        """What each is taken for, and from when on."""
        self._measured: dict[Unit, float] = {}
        """What it was taken for when it was measured."""

    def due(self, factors: Mapping[Unit, float], busy: Callable[[Unit], float], now: float) -> Unit | None:
        """Return a device to measure now, if there is one."""
        for unit in [*self._since.keys() - factors.keys()]:
            del self._since[unit]
            self._measured.pop(unit, None)
        for unit, factor in factors.items():
            known, since = self._since.get(unit, (None, now))
            if known != factor:
                self._since[unit] = (factor, now)
            elif self._measured.get(unit) != factor and now >= since + SETTLED_S and busy(unit) <= QUIET:
                return unit
        return None

    def note(self, unit: Unit, factor: float) -> None:
        """Take note that a device was measured, or could not be, and what it is taken for since."""
        self._measured[unit] = factor
