"""What every energy meter offers."""

from typing import Protocol

from heterosis.terms import Energy

IDLE = "idle"
"""What the device draws with nothing running on it. It is kept apart, since on most devices it decides."""

DYNAMIC = "dynamic"
"""What it draws above that."""


class EnergyMeter(Protocol):
    """Counts joules since it was made. It may be read from several threads."""

    def watch(self, pid: int) -> None:
        """Count a process and its children, from now on. A meter that reads the whole device has no need of it."""
        ...

    def read(self) -> dict[str, Energy]:
        """Return the joules so far by domain; where a domain's are not known, `UNKNOWN`.

        The domains are `IDLE` and `DYNAMIC`, or, for a meter of the hardware itself, its own parts.
        """
        ...


class HardwareMeter(Protocol):
    """Reads what hardware tells of its joules, by parts of it that do not overlap."""

    name: str
    """What it reads, for people."""
    covers: frozenset[str]
    """Names of the devices whose joules it counts, all of them."""
    resolution_s: float
    """How often its figures change: a window has to be many times as long."""

    def read(self) -> dict[str, Energy]:
        """Return the joules since the meter was made, by part; `UNKNOWN` from when on a part cannot be read."""
        ...

    def close(self) -> None:
        """Let go of the hardware."""
        ...
