"""How often something happens, smoothed over time: the demand that some policies follow."""

from math import exp


class Rate:
    """Events per second, each forgotten exponentially over a horizon; knows no clock but what it is told."""

    def __init__(self, horizon_s: float, per_s: float = 0.0, now: float = 0.0) -> None:
        """Start from a rate that is expected at a time."""
        self._horizon_s = horizon_s
        self._per_s = per_s
        self._at = now

    def count(self, now: float, events: int = 1) -> None:
        """Note events at a time."""
        self._per_s = self.per_s(now) + events / self._horizon_s
        self._at = now

    def per_s(self, now: float) -> float:
        """Tell the rate."""
        return self._per_s * exp((self._at - now) / self._horizon_s)
