"""The power modes of this machine's devices: set, read back, and put back in the end."""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from heterosis.devices.modes import nvidia
from heterosis.devices.modes.actuator import Actuator
from heterosis.devices.modes.cpufreq import Cpufreq
from heterosis.devices.modes.ledger import Before, Ledger, Watcher, recover
from heterosis.devices.modes.nvpmodel import Nvpmodel
from heterosis.devices.modes.quota import CpuQuota
from heterosis.devices.sysfs import ROOT
from heterosis.terms import DEFAULT_MODE
from heterosis.terms.errors import HardwareError

KINDS = {"cpu": ("cpufreq", "quota"), "jetson": ("nvpmodel",), "nvidia": ("nvidia",)}
"""What sets a device, by its name without its number."""


def open_actuator(kind: str, device: str, root: Path, nvml: Any = None) -> Actuator:
    """Return an actuator of a kind. Raise HardwareError where it cannot work here."""
    match kind:
        case "cpufreq":
            return Cpufreq(root)
        case "quota":
            return CpuQuota(root)
        case "nvpmodel":
            return Nvpmodel(root)
        case "nvidia":
            return nvidia.open_card(device, root, nvml)
    raise HardwareError(f"nothing called {kind!r} sets power modes")


class PowerModes:
    """Sets the power modes of the devices of one machine.

    The mode ``default`` is whatever was before. A context manager that brings all of it back; where the process dies
    before, a watcher does, or the next process that opens power modes.
    """

    def __init__(
        self,
        actuators: Mapping[str, Mapping[str, Actuator]],
        folder: Path,
        *,
        node: str | None = None,
        root: Path = ROOT,
        watch: bool = True,
        recovered: Sequence[str] = (),
        refused: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """``actuators`` by device and kind; ``folder`` is where it is noted what was; ``node`` is this machine's name.

        Without a watcher, nothing is put back after a crash until power modes are opened anew.
        """
        self.recovered = tuple(recovered)
        """What was put back, or could not be, of a process that died."""
        self.refused = refused
        """By device, why something that sets such devices cannot set this one."""
        self._actuators = actuators
        self._folder = folder
        self._node = node
        self._root = root
        self._watch = watch
        self._watcher: Watcher | None = None
        self._ledgers: dict[str, Ledger] = {}
        self._before: dict[str, dict[str, Before]] = {}
        self._told: list[Callable[[str, str], None]] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def when_changed(self, act: Callable[[str, str], None]) -> None:
        """Have this called with a device and its mode after each change of what it draws.

        A quota is none: it leaves idle power, and power for each busy core, as they are.
        """
        self._told.append(act)

    def modes(self, device: str) -> tuple[str, ...]:
        """Return the modes that a device can be brought into; of ranges, their ends."""
        return (DEFAULT_MODE, *(mode for each in self._actuators.get(device, {}).values() for mode in each.modes))

    async def set(self, node: str, device: str, mode: str) -> None:
        """Bring a device into a mode, off the event loop; return when it is. Raise HardwareError where it is not."""
        if self._node is not None and node != self._node:
            raise HardwareError(f"{node} is not this machine, so its power modes are not ours to set")
        await asyncio.to_thread(self.set_now, device, mode)

    def set_now(self, device: str, mode: str) -> None:
        """Bring a device into a mode, and wait for that. Raise HardwareError where it does not get there."""
        actuators = self._actuators.get(device, {})
        takers = [kind for kind, actuator in actuators.items() if actuator.takes(mode)]
        if not takers and mode != DEFAULT_MODE:
            raise HardwareError(f"{device} has no power mode {mode!r} here; it has: {', '.join(self.modes(device))}")
        with self._lock:
            for kind, before in self._before.get(device, {}).items():
                if kind not in takers[:1]:
                    actuators[kind].restore(before.state)
            for kind in takers[:1]:
                before = self._note(device, kind)
                try:
                    actuators[kind].set(mode)
                except HardwareError:
                    actuators[kind].restore(before.state)  # better the mode that was than half of each
                    raise
        for act in self._told:
            act(device, DEFAULT_MODE if takers[:1] == ["quota"] else mode)

    def close(self) -> None:
        """Bring back what was before. Raise HardwareError where that fails: the next start tries it again."""
        atexit.unregister(self.close)
        failed = []
        with self._lock:
            for device, befores in self._before.items():
                settled = True
                for kind, before in befores.items():
                    try:
                        self._actuators[device][kind].restore(before.state)
                    except HardwareError as error:
                        failed.append(str(error))
                        settled = False
                self._ledgers.pop(device).close(settled=settled)
            self._before.clear()
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        if failed:
            raise HardwareError("; ".join(failed))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring back what was before."""
        self.close()

    def _note(self, device: str, kind: str) -> Before:
        """Before an actuator's first change, write down what was."""
        noted = self._before.get(device, {}).get(kind)
        if noted is not None:
            return noted
        before = Before(actuator=kind, state=self._actuators[device][kind].read())
        if device not in self._ledgers:
            self._ledgers[device] = Ledger(self._folder, device, self._root)
        self._ledgers[device].note(before)
        self._before.setdefault(device, {})[kind] = before
        if self._watch and self._watcher is None:
            self._watcher = Watcher(self._folder)
        return before


def open_modes(
    devices: Sequence[str],
    *,
    node: str | None = None,
    root: Path = ROOT,
    folder: Path | None = None,
    nvml: Any = None,
) -> PowerModes:
    """Return the power modes of these devices. What a process that died has left is put back first.

    Nothing is changed before the first `PowerModes.set`.
    """
    folder = folder or state_folder()
    recovered = list(recover(folder, open_actuator))
    actuators: dict[str, dict[str, Actuator]] = {}
    refused: dict[str, list[str]] = {}
    for device in devices:
        for kind in KINDS.get(device.split("-")[0], ()):
            try:
                actuators.setdefault(device, {})[kind] = open_actuator(kind, device, root, nvml)
            except HardwareError as error:
                refused.setdefault(device, []).append(str(error))
    return PowerModes(actuators, folder, node=node, root=root, recovered=recovered, refused=refused)


def state_folder() -> Path:
    """Return where it is noted what was before: of the system for root, else of the user."""
    if os.geteuid() == 0:
        return Path("/var/lib/heterosis/power")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "heterosis/power"
