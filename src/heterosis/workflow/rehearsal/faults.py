"""What goes wrong in a rehearsal, and when: devices that slow down, nodes that die; live and in the simulator alike."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from heterosis.simulation import DeviceFailure, Slowdown
from heterosis.terms import Fleet
from heterosis.terms.errors import UsageError


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """From a moment on, a device takes so many times as long; at 0 it is dead."""

    node: str
    device: str
    at_s: float
    factor: float


def slow_fault(text: str, fleet: Fleet) -> list[Fault]:
    """Read ``NODE/DEVICE=FACTOR@SECONDS``. Raise UsageError where that is none, or the fleet has no such device."""
    unit, _, rest = text.partition("=")
    factor, _, at = rest.partition("@")
    node, _, device = unit.partition("/")
    return [
        Fault(node=node, device=name, at_s=_number(at, text), factor=_number(factor, text))
        for name in _devices(fleet, node, text)
        if name == (device or name)
    ]


def kill_fault(text: str, fleet: Fleet) -> list[Fault]:
    """Read ``NODE@SECONDS+SECONDS``: when a node's every device dies, and for how long it is away (1 s by default)."""
    node, _, rest = text.partition("@")
    at, _, away = rest.partition("+")
    begin, away_s = _number(at, text), _number(away or "1", text)
    return [
        Fault(node=node, device=device, at_s=moment, factor=factor)
        for moment, factor in ((begin, 0.0), (begin + away_s, 1.0))
        for device in _devices(fleet, node, text)
    ]


def _devices(fleet: Fleet, node: str, text: str) -> list[str]:
    for each in fleet.nodes:
        if each.name == node:
            return [device.name for device in each.devices]
    raise UsageError(
        f"{text!r}: the fleet has no node {node!r}; it has: {', '.join(each.name for each in fleet.nodes)}"
    )


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{whole!r} is no fault: say NODE/DEVICE=FACTOR@SECONDS, or NODE@SECONDS+SECONDS") from None


def simulated_faults(faults: Sequence[Fault]) -> tuple[list[DeviceFailure], list[Slowdown]]:
    """Return the same for the simulator."""
    failures, slowdowns = [], []
    for fault in faults:
        if fault.factor > 0:
            slowdowns.append(Slowdown(fault.node, fault.device, fault.at_s, fault.factor))
            continue
        back = [each.at_s for each in faults if _same(each, fault) and each.at_s > fault.at_s and each.factor > 0]
        failures.append(DeviceFailure(fault.node, fault.device, fault.at_s, min(back, default=1e9) - fault.at_s))
    return failures, slowdowns


def _same(fault: Fault, other: Fault) -> bool:
    return (fault.node, fault.device) == (other.node, other.device)


async def play(faults: Sequence[Fault], path: Path) -> None:
    """Write the file that emulated devices look at, whenever something changes; begin now."""
    loop = asyncio.get_running_loop()
    begin, factors = loop.time(), dict[str, float]()
    for fault in sorted(faults, key=lambda each: each.at_s):
        await asyncio.sleep(max(begin + fault.at_s - loop.time(), 0.0))
        factors[f"{fault.node}/{fault.device}"] = fault.factor
        aside = path.with_suffix(".new")
        aside.write_bytes(msgspec.json.encode(factors))
        aside.replace(path)
