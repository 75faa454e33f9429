"""Power modes of the fleet's devices: brings a device into one, and keeps its batches back meanwhile."""

import asyncio
import functools
from collections.abc import Callable
from typing import Protocol

import structlog

from heterosis.scheduling import SetPowerMode
from heterosis.terms.errors import HardwareError

log = structlog.get_logger()


class PowerModes(Protocol):
    """What sets modes (`heterosis.devices.PowerModes`)."""

    async def set(self, node: str, device: str, mode: str) -> None:
        """Bring a device into a mode; return when it is. Raise HardwareError where it does not get there."""
        ...


class Switches:
    """The changes of mode that are under way, one after the other for each device."""

    def __init__(self, modes: PowerModes | None) -> None:
        """Without ``modes`` there is nothing to set: the devices are emulated, say."""
        self._modes = modes
        self.under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        """By device."""

    def switch(self, effect: SetPowerMode) -> None:
        """Begin to bring a device into a mode. Where that fails it stays in the one that it has, and is used so."""
        log.info("power mode", node=effect.node, device=effect.device, mode=effect.mode, set=self._modes is not None)
        if self._modes is not None:
            unit = (effect.node, effect.device)
            task = asyncio.ensure_future(self._set(self._modes, effect, self.under_way.get(unit)))
            self.under_way[unit] = task
            task.add_done_callback(functools.partial(self._settled, unit))

    def when_settled(self, node: str, device: str, act: Callable[..., None], *args: object) -> None:
        """Act once a device is in its mode: at once, unless it is being changed."""
        task = self.under_way.get((node, device))
        if task is None:
            act(*args)
        else:
            task.add_done_callback(lambda _: act(*args))

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self.under_way.values())

    def _settled(self, unit: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self.under_way.get(unit) is task:
            del self.under_way[unit]

    @staticmethod
    async def _set(modes: PowerModes, effect: SetPowerMode, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await before
        try:
            await modes.set(effect.node, effect.device, effect.mode)
        except HardwareError as error:
            log.warning(
                "power mode not set", node=effect.node, device=effect.device, mode=effect.mode, reason=str(error)
            )
