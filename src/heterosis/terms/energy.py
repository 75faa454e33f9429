"""Joules, and how far they can be trusted."""

from enum import StrEnum

import msgspec


class Quality(StrEnum):
    """Where a figure of energy comes from, best first."""

    COUNTER = "counter"  # a hardware counter of joules
    SAMPLED = "sampled"  # power samples, integrated
    MODELLED = "modelled"  # a model of power from utilisation
    NONE = "none"  # unknown


_RANK = {quality: rank for rank, quality in enumerate(Quality)}


class Energy(msgspec.Struct, frozen=True):
    """An amount of energy. Unknown energy is ``None`` joules of quality ``none``; it is never reported as 0 J."""

    joules: float | None = None
    quality: Quality = Quality.NONE

    def __post_init__(self) -> None:
        """Keep the amount and its quality consistent."""
        if (self.joules is None) != (self.quality is Quality.NONE):
            raise ValueError(
                f"unknown energy has neither joules nor a quality: got {self.joules} J, quality {self.quality.value}"
            )

    def __add__(self, other: "Energy") -> "Energy":
        """Sum, of the worse of both qualities; a sum with an unknown part is unknown."""
        if self.joules is None or other.joules is None:
            return UNKNOWN
        return Energy(self.joules + other.joules, max(self.quality, other.quality, key=_RANK.__getitem__))

    def __sub__(self, other: "Energy") -> "Energy":
        """Difference of two readings of one cumulative meter."""
        return self + other * -1.0

    def __mul__(self, factor: float) -> "Energy":
        """Scale, for example to one item of a batch."""
        return UNKNOWN if self.joules is None else Energy(self.joules * factor, self.quality)


UNKNOWN = Energy()
