"""Power modes of Jetson boards: those in /etc/nvpmodel.conf, by their names, set by NVIDIA's ``nvpmodel`` as root.

NVIDIA Jetson Linux Developer Guide, "Power management". A mode that turns cores or memory off may ask for a reboot:
then it is not set, and the error says so.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from heterosis.devices.modes.actuator import State
from heterosis.devices.sysfs import ROOT, text
from heterosis.terms.errors import HardwareError

CONF = "etc/nvpmodel.conf"
STATUS = "var/lib/nvpmodel/status"
PATIENCE_S = 30.0

MODE = "mode"

Run = Callable[[Sequence[str]], str]


class Nvpmodel:
    """The board."""

    def __init__(self, root: Path = ROOT, run: Run | None = None) -> None:
        """``run`` runs a command and returns what it says. Raise HardwareError where the board has no modes."""
        self._root = root
        self._run = run or _run
        self._ids = read_modes(root)
        if not self._ids:
            raise HardwareError(f"/{CONF} is not there, or has no power modes")

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in the order of the file."""
        return tuple(self._ids)

    def takes(self, mode: str) -> bool:
        """Whether the file has a mode."""
        return mode in self._ids

    def read(self) -> State:
        """Return the mode. Raise HardwareError where it is not told."""
        found = mode_now(self._root)
        if found is None:
            raise HardwareError(f"/{STATUS} does not say which power mode the board is in")
        return {MODE: found}

    def set(self, mode: str) -> None:
        """Change the mode."""
        said = self._run(["nvpmodel", "-m", str(self._ids[mode])])
        if mode_now(self._root) != mode:
            why = "it asks for a reboot" if "reboot" in said.lower() else said.strip() or "nvpmodel gives no reason"
            raise HardwareError(f"the board is not in power mode {mode}: {why}")

    def restore(self, state: State) -> None:
        """Change it back."""
        if mode_now(self._root) != state[MODE]:
            self.set(state[MODE])


def read_modes(root: Path = ROOT) -> dict[str, int]:
    """Return the numbers of the modes in the file, by their names."""
    lines = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", text(root / CONF), re.MULTILINE)
    return {name: int(number) for number, name in lines}


def mode_now(root: Path = ROOT) -> str | None:
    """Return the name of the mode that the board is in; None where it is not told."""
    found = re.match(r"pmode:(\d+)", text(root / STATUS))
    names = {number: name for name, number in read_modes(root).items()}
    return names.get(int(found[1])) if found else None


def _run(command: Sequence[str]) -> str:
    try:
        # No terminal: a mode that needs a reboot asks for consent to it, which we do not give.
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HardwareError(f"nvpmodel cannot be run: {error}") from None
    return done.stdout + done.stderr
