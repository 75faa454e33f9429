"""NVIDIA's Jetson boards: which, and in which power mode of their own (nvpmodel)."""

from collections.abc import Iterator
from pathlib import Path

from heterosis.catalogue import match_type
from heterosis.devices.cpu import memory_of_machine
from heterosis.devices.device_tree import board
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.modes.nvpmodel import CONF, mode_now, read_modes
from heterosis.devices.sysfs import ROOT, text
from heterosis.terms import Device


def find(root: Path = ROOT) -> Iterator[Finding | Unseen]:
    """Return the board's GPU, whose power is that of the whole board."""
    model, compatible = board(root)
    if "tegra" not in " ".join(compatible):
        return
    release = text(root / "etc/nv_tegra_release").split("\n")[0].strip("# ")
    facts = {"Jetson Linux": release} if release else {}
    modes = read_modes(root)
    if modes:
        facts["power mode"] = mode_now(root) or "not told"
    else:
        yield Unseen(what=f"power modes of {model}", reason=f"/{CONF} is not there, or has none")
    yield Finding(
        device=Device(name="jetson", type=match_type(model, "gpu"), memory_bytes=memory_of_machine(root)),
        model=model,
        facts=facts,
        modes=tuple(modes),
    )
