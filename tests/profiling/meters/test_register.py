"""Counters of joules that wrap around, fall, or go away."""

import pytest

from heterosis.profiling.meters.register import Register
from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import HardwareError


class Counter:
    """A counter with a clock beside it."""

    def __init__(self, joules: float) -> None:
        """Begin here."""
        self.joules: float | None = joules
        self.now = 0.0

    def read(self) -> float:
        """Tell it, while there is something to tell."""
        if self.joules is None:
            raise HardwareError("GPU is lost")
        return self.joules

    def clock(self) -> float:
        """Tell the time."""
        return self.now


def test_counts_from_now() -> None:
    """What the hardware had counted before is not ours; nothing spent is 0 J, and known."""
    counter = Counter(500.0)
    register = Register(counter.read)
    assert register.energy() == Energy(0.0, Quality.COUNTER)
    counter.joules = 512.5
    assert register.energy() == Energy(12.5, Quality.COUNTER)


def test_wraps_around() -> None:
    """A counter that begins again has not given energy back."""
    counter = Counter(262_100.0)
    register = Register(counter.read, wraps_at_j=262_143.0, clock=counter.clock)
    counter.joules, counter.now = 7.0, 1.0
    assert register.energy().joules == pytest.approx(50.0)
    counter.joules, counter.now = 9.0, 2.0
    assert register.energy().joules == pytest.approx(52.0)


def test_too_long_unread_is_unknown() -> None:
    """Where it may have wrapped around more than once, the joules are unknown from then on."""
    counter = Counter(10.0)
    register = Register(counter.read, wraps_at_j=65_536.0, clock=counter.clock)
    counter.joules, counter.now = 20.0, 70.0
    assert register.energy() == UNKNOWN
    assert "70 s" in register.lost
    counter.now = 71.0
    assert register.energy() == UNKNOWN


def test_a_counter_that_falls_is_unknown() -> None:
    """Without a wrap, a smaller figure means that the driver started anew."""
    counter = Counter(100.0)
    register = Register(counter.read)
    counter.joules = 3.0
    assert register.energy() == UNKNOWN
    counter.joules = 200.0
    assert register.energy() == UNKNOWN


def test_what_is_unplugged_stays_unknown() -> None:
    """A device that went away is never 0 J, not even when it comes back."""
    counter = Counter(100.0)
    register = Register(counter.read)
    counter.joules = None
    assert register.energy() == UNKNOWN
    assert "GPU is lost" in register.lost
    counter.joules = 150.0
    assert register.energy() == UNKNOWN
