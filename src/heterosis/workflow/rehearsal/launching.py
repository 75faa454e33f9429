"""Workers on emulated devices, which wake before they can load anything."""

import asyncio
import time

from heterosis.control.rests import RestS, Rests, never
from heterosis.launch.launcher import Ended
from heterosis.launch.local import LocalLauncher
from heterosis.terms import Fleet, Placement, Variant

Unit = tuple[str, str]


class FleetLauncher(LocalLauncher):
    """Starts workers of devices of a fleet: one without instances sleeps or is off, and takes its time to wake."""

    def __init__(self, fleet: Fleet, rest_s: RestS = never) -> None:
        """Take wake times from a fleet; ``rest_s`` says for how long a device sleeps before it is off."""
        super().__init__()
        self._rests = Rests(rest_s)
        self._hosted: dict[Unit, dict[str, Placement]] = {}
        self._stopped: set[str] = set()
        self._kept = set[str]()
        self._wake_s = {
            (node.name, device.name): device.type.wake_ms / 1e3 for node in fleet.nodes for device in node.devices
        }
        self._awake_at: dict[Unit, float] = {}
        self._waking: dict[str, asyncio.Event] = {}

    async def start(self, placement: Placement, variant: Variant, address: str, token: str, ended: Ended) -> None:
        """See `Launcher.start`."""
        unit, name = placement.unit, placement.instance
        now, hosted = time.monotonic(), self._hosted.setdefault(unit, {})
        if not hosted:
            self._awake_at[unit] = now + self._wake_s.get(unit, 0.0)
        self._kept.discard(name)
        if self._rests.keeps(placement, now):
            self._kept.add(name)
        hosted[name] = placement
        self._rests.present(unit, tuple(hosted.values()), now)

        def gone(instance: str, reason: str) -> None:
            del hosted[instance]
            lost = instance not in self._stopped
            self._stopped.discard(instance)
            self._rests.present(unit, tuple(hosted.values()), time.monotonic(), lost=lost)
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

    def kept(self, instance: str) -> bool:
        """Whether an instance was in its device's memory when it was started last, and need not be loaded."""
        return instance in self._kept

    async def stop(self, instance: str) -> None:
        """See `Launcher.stop`."""
        self._stopped.add(instance)
        waking = self._waking.get(instance)
        if waking is not None:
            waking.set()
        else:
            await super().stop(instance)
