"""Power modes that policies choose, set live."""

import asyncio
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from heterosis.devices import open_modes
from heterosis.scheduling import SetPowerMode
from heterosis.serving.power import Switches
from heterosis.terms import OperatingPoint, Placement
from heterosis.terms.errors import HardwareError
from heterosis.testing.hardware import CPUFREQ, write_files
from tests.serving.conftest import Serve, toy_plan


class Slow:
    """Sets modes only when it is let; the one called ``none`` is refused."""

    def __init__(self) -> None:
        """Have set nothing."""
        self.let = asyncio.Event()
        self.done: list[str] = []

    async def set(self, node: str, device: str, mode: str) -> None:
        """Wait, then note it."""
        await self.let.wait()
        if mode == "none":
            raise HardwareError(f"{node}/{device} has no such mode")
        self.done.append(mode)


def to(mode: str, device: str = "cpu") -> SetPowerMode:
    """Return the effect that asks for a mode."""
    return SetPowerMode(node="n", device=device, mode=mode, reason="to try it")


async def test_batches_wait_for_their_device_alone() -> None:
    """What another device runs goes on; changes of one device come one after the other."""
    modes = Slow()
    switches, sent = Switches(modes), list[str]()
    switches.when_settled("n", "cpu", lambda: sent.append("before"))
    switches.switch(to("15W"))
    switches.switch(to("none"))
    switches.switch(to("30W"))
    switches.when_settled("n", "cpu", lambda: sent.append("after"))
    switches.when_settled("n", "gpu", lambda: sent.append("elsewhere"))
    assert sent == ["before", "elsewhere"]
    modes.let.set()
    await switches.close()
    await asyncio.sleep(0)
    assert modes.done == ["15W", "30W"]
    assert sent == ["before", "elsewhere", "after"]
    switches.when_settled("n", "cpu", lambda: sent.append("at once"))
    assert sent[-1] == "at once"


async def test_without_anything_to_set_nothing_waits() -> None:
    """Emulated devices change their modes in name alone."""
    switches, sent = Switches(None), list[str]()
    switches.switch(to("15W"))
    switches.when_settled("n", "cpu", lambda: sent.append("at once"))
    assert sent == ["at once"]


MODES = {"scale": "1200MHz", "nap": "1800MHz"}
T = TypeVar("T", Placement, OperatingPoint)


def in_mode(each: T) -> T:
    """Put a placement or a point into its stage's mode."""
    configuration = each.configuration
    return msgspec.structs.replace(
        each, configuration=msgspec.structs.replace(configuration, power_mode=MODES[configuration.stage])
    )


async def test_a_plan_with_two_modes_sets_the_clock(tmp_path: Path, serving: Serve) -> None:
    """The toy pipeline's stages run in a mode each: the clock of this (made-up) machine follows, and comes back."""
    root = write_files(tmp_path / "root", CPUFREQ)
    plan = toy_plan()
    plan = msgspec.structs.replace(
        plan,
        placements=tuple(msgspec.structs.replace(in_mode(each), device="cpu") for each in plan.placements),
        points=tuple(map(in_mode, plan.points)),
    )
    clock = root / "sys/devices/system/cpu/cpufreq/policy1/scaling_max_freq"
    with open_modes(["cpu"], root=root, folder=tmp_path / "state") as modes:
        async with serving(plan, power_modes=modes) as server:
            inputs = {"values": np.ones(3, np.float32), "factor": 2, "nap_ms": 1}
            assert await server.model.infer(inputs, timeout_ms=5_000) == [4.0, 4.0, 4.0]
            asked = [
                each.mode for record in server.records for each in record.effects if isinstance(each, SetPowerMode)
            ]
            assert asked == ["1200MHz", "1800MHz"]
            assert clock.read_text() == "1800000"
    assert clock.read_text() == "2400000"
