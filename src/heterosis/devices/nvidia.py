"""NVIDIA's cards, by its management library; those of Jetson boards are in `heterosis.devices.jetson`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heterosis.catalogue import match_type
from heterosis.devices.device_tree import board
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.nvml import open_nvml, told
from heterosis.devices.pci import DISPLAY, NVIDIA, pci
from heterosis.devices.sysfs import ROOT
from heterosis.terms import Device
from heterosis.terms.errors import HardwareError

PREFIX = "nvidia-"


def find(root: Path = ROOT, nvml: Any = None) -> Iterator[Finding | Unseen]:
    """Return the cards. ``nvml`` stands in for the library's module, which is asked only about this machine."""
    if "tegra" in " ".join(board(root)[1]):
        return
    cards = [card for card in pci(root, NVIDIA) if card.kind == DISPLAY]
    try:
        library = _library(root, nvml)
    except HardwareError as error:
        for card in cards:
            yield Unseen(what=f"NVIDIA card at {card.address}", reason=str(error))
        return
    for index in range(library.nvmlDeviceGetCount()):
        try:
            yield _finding(library, index)
        except library.NVMLError as error:
            yield Unseen(what=f"{PREFIX}{index}", reason=f"NVIDIA's driver says: {error}")


def _library(root: Path, nvml: Any) -> Any:
    if nvml is None and root != ROOT:
        raise HardwareError("its management library answers for the machine that this runs on alone")
    return open_nvml(nvml)


def _finding(nvml: Any, index: int) -> Finding:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    model = told(nvml.nvmlDeviceGetName(handle))
    facts = {"driver": told(nvml.nvmlSystemGetDriverVersion()), "uuid": told(nvml.nvmlDeviceGetUUID(handle))}
    modes: tuple[str, ...] = ()
    try:
        lowest, highest = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        limit = nvml.nvmlDeviceGetPowerManagementLimit(handle)
        facts["power limit"] = f"{limit / 1e3:.0f} W, from {lowest / 1e3:.0f} to {highest / 1e3:.0f} W"
        modes = (f"{lowest / 1e3:.0f}W", f"{highest / 1e3:.0f}W")
    except nvml.NVMLError as error:
        facts["power limit"] = f"not told ({error})"
    return Finding(
        device=Device(
            name=f"{PREFIX}{index}",
            type=match_type(model, "gpu"),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        ),
        model=model,
        facts=facts,
        modes=modes,
    )
