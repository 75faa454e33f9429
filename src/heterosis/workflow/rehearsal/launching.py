"""Workers on emulated devices, which wake before they can load anything."""

import asyncio
import time
from collections import Counter

from heterosis.launch import LocalLauncher
from heterosis.launch.launcher import Ended
from heterosis.terms import Fleet, Placement, Variant

Unit = tuple[str, str]


class FleetLauncher(LocalLauncher):
    """Starts workers of devices of a fleet: one without instances is off, and takes its time to wake."""

    def __init__(self, fleet: Fleet) -> None:
        """Take wake times from a fleet."""
        super().__init__()
        self._wake_s = {
            (node.name, device.name): device.type.wake_ms / 1e3 for node in fleet.nodes for device in node.devices
        }
        self._on: Counter[Unit] = Counter()
        self._awake_at: dict[Unit, float] = {}
        self._waking: dict[str, asyncio.Event] = {}

    async def start(self, placement: Placement, variant: Variant, address: str, token: str, ended: Ended) -> None:
        """See `Launcher.start`."""
        unit, name = (placement.node, placement.device), placement.instance
        now = time.monotonic()
        if not self._on[unit]:
            self._awake_at[unit] = now + self._wake_s.get(unit, 0.0)
        self._on[unit] += 1

        def gone(instance: str, reason: str) -> None:
            self._on[unit] -= 1
            ended(instance, reason)

        left_s = self._awake_at[unit] - now
        if left_s > 0:
            stopped = self._waking[name] = asyncio.Event()
            try:
                await asyncio.wait_for(stopped.wait(), left_s)
            except TimeoutError:
                pass
            else:
                gone(name, "stopped before its device was awake")
                return
            finally:
                del self._waking[name]
        await super().start(placement, variant, address, token, gone)

    async def stop(self, instance: str) -> None:
        """See `Launcher.stop`."""
        waking = self._waking.get(instance)
        if waking is not None:
            waking.set()
        else:
            await super().stop(instance)
