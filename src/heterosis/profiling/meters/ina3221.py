"""The power monitors of Jetson boards (TI INA3221), which tell volts and amperes of each supply rail by its label.

NVIDIA Jetson Linux Developer Guide, "Power consumption": a board with a rail for its whole input (VDD_IN) counts by
that alone, since the others are parts of it; on the AGX boards the rails are apart from each other, and the board is
their sum. Older releases (before Jetson Linux 34) have the same figures in other files.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from heterosis.devices.sysfs import ROOT, inside, text
from heterosis.profiling.meters.integrator import PERIOD_S, Integrator
from heterosis.terms import Device, Energy
from heterosis.terms.errors import HardwareError

WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
UNUSED = ("", "NC", "Sum of shunt voltages")

CHANNELS = (1, 2, 3)


class Ina3221Meter:
    """Some rails of a board, by their labels; by default those that make the whole of it."""

    name = "INA3221"
    resolution_s = PERIOD_S

    def __init__(
        self,
        covers: frozenset[str],
        root: Path = ROOT,
        labels: Sequence[str] = (),
        period_s: float = PERIOD_S,
    ) -> None:
        """Start counting. Raise HardwareError where the board has no monitor, or not one of the rails asked for."""
        self.covers = covers
        found = rails(root)
        if not found:
            raise HardwareError("no INA3221 power monitor under /sys/class/hwmon or /sys/bus/i2c/drivers/ina3221x")
        whole = [label for label in WHOLE_BOARD if label in found]
        wanted = labels or whole or sorted(found)
        missing = [label for label in wanted if label not in found]
        if missing:
            raise HardwareError(f"the board has no rail {' or '.join(missing)}; it has: {', '.join(sorted(found))}")
        try:
            self._integrator = Integrator({label: found[label] for label in wanted}, period_s=period_s)
        except (OSError, ValueError) as error:
            raise HardwareError(f"a rail of the INA3221 cannot be read: {error}") from None

    def read(self) -> dict[str, Energy]:
        """Return the joules of each rail."""
        return self._integrator.read()

    def close(self) -> None:
        """Stop sampling."""
        self._integrator.close()


def meters(devices: Sequence[Device], root: Path = ROOT) -> Iterator[partial[Ina3221Meter]]:
    """Return the meter of a Jetson board: it counts its CPU and its GPU together, whichever of them are ours."""
    ours = frozenset({"jetson", "cpu"} & {device.name for device in devices})
    if "jetson" in ours or (ours and rails(root)):
        yield partial(Ina3221Meter, ours, root)


def rails(root: Path = ROOT) -> dict[str, partial[float]]:
    """Return what reads the watts of each rail, by its label."""
    found = {}
    for monitor in inside(root / "sys/class/hwmon"):
        if text(monitor / "name") == "ina3221":
            for channel in CHANNELS:
                label = text(monitor / f"in{channel}_label")
                if label not in UNUSED:
                    volts, amperes = monitor / f"in{channel}_input", monitor / f"curr{channel}_input"
                    found[label] = partial(_watts, volts, amperes)
    for monitor in inside(root / "sys/bus/i2c/drivers/ina3221x", "*/iio:device*"):
        for channel in range(len(CHANNELS)):
            label = text(monitor / f"rail_name_{channel}")
            if label not in UNUSED:
                found[label] = partial(_watts, monitor / f"in_power{channel}_input")
    return found


def _watts(*files: Path) -> float:
    """Multiply millivolts by milliamperes, or take milliwatts as they are."""
    watts = 1.0
    for file in files:
        watts *= int(file.read_text(encoding="ascii")) / 1e3
    return watts
