"""What every energy meter offers."""

from typing import Protocol

from heterosis.terms import Energy

IDLE = "idle"
"""What the device draws with nothing running on it. It is kept apart, since on most devices it decides."""

DYNAMIC = "dynamic"
"""What it draws above that."""


class EnergyMeter(Protocol):
    """Counts the joules of one device since the meter was made."""

    def watch(self, pid: int) -> None:
        """Count a process and its children, from now on. A meter that reads the whole device has no need of it."""
        ...

    def read(self) -> dict[str, Energy]:
        """Return the joules so far by domain; where a domain's are not known, `UNKNOWN`."""
        ...
