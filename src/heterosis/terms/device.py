"""Hardware: device types as the catalogue knows them, devices as units, nodes that hold them, the fleet."""

import msgspec

from heterosis.terms.energy import Quality
from heterosis.terms.profile import DEFAULT_MODE


class PowerMode(msgspec.Struct, frozen=True, kw_only=True):
    """A clock or power setting of a device, with the power of the whole device in it."""

    name: str
    idle_power_w: float | None = None
    active_power_w: float | None = None
    """Power with every slot busy."""


class DeviceType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of hardware. ``quality`` says how its power figures were had, ``source`` from where."""

    name: str
    kind: str
    """``cpu``, ``gpu``, ``fpga``, ``tpu`` …"""
    power_modes: tuple[PowerMode, ...] = (PowerMode(name=DEFAULT_MODE),)
    quality: Quality = Quality.NONE
    source: str = ""
    sleep_power_w: float | None = None
    """Of the whole device asleep; None where it cannot sleep."""
    wake_ms: float = 0.0
    """From asleep until it can run a batch."""
    switch_ms: float = 0.0
    """From one power mode to another; nothing runs meanwhile."""
    switch_j: float | None = None
    """Energy of that beyond idle power; None where unknown."""
    engines: tuple[str, ...] = ()
    """What runs on it; empty where that is not known."""
    price_per_hour: float | None = None
    """Of renting one, in US dollars; None where it is not for rent, or the price is unknown."""
    purchase_price: float | None = None
    """Of buying one, in US dollars; None where it is not for sale, or the price is unknown."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of hardware.

    A device has ``slots``: what one batch can have for itself. A CPU has a slot for each core that it lends to
    inference, most accelerators have one. An instance occupies its slots while it runs a batch.
    """

    name: str
    type: DeviceType
    slots: int = 1
    memory_bytes: int | None = None

    def idle_power_w(self, mode: str) -> float | None:
        """Power of the whole device with no slot busy, in watts; None where unknown."""
        return self._mode(mode).idle_power_w

    def dynamic_power_w(self, mode: str) -> float | None:
        """Power above idle of each busy slot, in watts; None where unknown."""
        found = self._mode(mode)
        if found.idle_power_w is None or found.active_power_w is None:
            return None
        return (found.active_power_w - found.idle_power_w) / self.slots

    def _mode(self, name: str) -> PowerMode:
        for mode in self.type.power_modes:
            if mode.name == name:
                return mode
        known = ", ".join(mode.name for mode in self.type.power_modes)
        raise KeyError(f"device {self.name!r} ({self.type.name}) has no power mode {name!r}; it has: {known}")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that holds devices, and the way to it from the scheduler."""

    name: str
    devices: tuple[Device, ...]
    link_ms: float = 0.0
    """Time that a message takes to it, one way."""
    bandwidth_mbit_s: float | None = None
    """Of that way, in either direction; None: it is not what limits."""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """All that is available."""

    nodes: tuple[Node, ...]

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of all nodes, in order."""
        return tuple(device for node in self.nodes for device in node.devices)
