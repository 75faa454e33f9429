"""What brings a device into a power mode."""

from pathlib import Path
from typing import Protocol

from heterosis.terms.errors import HardwareError

State = dict[str, str]
"""Settings by their names, as far as a mode changes them."""


class Actuator(Protocol):
    """One way to set the power of one device: its clock, its power limit, its share of CPU time."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes that it offers; of a range, its ends."""
        ...

    def takes(self, mode: str) -> bool:
        """Whether a mode is one of these, or lies in the range."""
        ...

    def read(self) -> State:
        """Return the settings as they are."""
        ...

    def set(self, mode: str) -> None:
        """Bring the device into a mode, and read back that it is. Raise HardwareError where it is not."""
        ...

    def restore(self, state: State) -> None:
        """Bring back settings that were read before. Raise HardwareError where that fails."""
        ...


def write(file: Path, value: str) -> None:
    """Write a setting and read it back. Raise HardwareError where it is not permitted, or does not hold."""
    try:
        file.write_text(value, encoding="ascii")
        found = file.read_text(encoding="ascii").strip()
    except PermissionError:
        raise HardwareError(f"{file} may be written by root only: run as root") from None
    except OSError as error:
        raise HardwareError(f"{file} does not take {value!r}: {error.strerror}") from None
    if found != value:
        raise HardwareError(f"{file} was set to {value!r} and says {found!r}")


def amount(mode: str, unit: str) -> float | None:
    """Return the number in a mode like ``15W``; None where it is none of this unit."""
    try:
        return float(mode.removesuffix(unit)) if mode.endswith(unit) else None
    except ValueError:
        return None
