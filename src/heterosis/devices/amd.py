"""AMD's GPUs, by the files of its driver, and by AMD SMI where its package is there."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heterosis.catalogue import match_type
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.pci import AMD, DISPLAY, PROCESSING, pci
from heterosis.devices.sysfs import ROOT, inside, number, text
from heterosis.terms import Device
from heterosis.terms.errors import HardwareError

PREFIX = "amd-"


def find(root: Path = ROOT) -> Iterator[Finding | Unseen]:
    """Return the GPUs."""
    found = cards(root)
    for name, folder in found.items():
        model = text(folder / "product_name") or f"AMD GPU {text(folder / 'device')}"
        caps = list(inside(folder, "hwmon/hwmon*/power1_cap"))
        cap = number(caps[0]) if caps else None
        _, _, rest = text(folder / "uevent").partition("PCI_SLOT_NAME=")
        facts = {"driver": "amdgpu", "address": rest.partition("\n")[0]}
        yield Finding(
            device=Device(
                name=name, type=match_type(model, "gpu"), memory_bytes=number(folder / "mem_info_vram_total")
            ),
            model=model,
            facts=facts | ({"power limit": f"{cap / 1e6:.0f} W"} if cap else {}),
        )
    others = [card for card in pci(root, AMD) if card.kind in {DISPLAY, PROCESSING}]
    if others and not found:
        for card in others:
            yield Unseen(what=f"AMD GPU at {card.address}", reason="its driver (amdgpu) is not loaded")


def cards(root: Path) -> dict[str, Path]:
    """Return the folder of each GPU's files, by the name of its device."""
    folders = [card / "device" for card in inside(root / "sys/class/drm", "card[0-9]*") if "-" not in card.name]
    ours = [folder for folder in folders if number(folder / "vendor", 16) == AMD]
    return {f"{PREFIX}{index}": folder for index, folder in enumerate(ours)}


def open_amdsmi(library: Any = None) -> Any:
    """Return the module `amdsmi`, with the library open; ``library`` stands in for it.

    Raise HardwareError where it cannot be.
    """
    if library is None:
        try:
            library = importlib.import_module("amdsmi")
        except Exception as error:  # noqa: BLE001 - it loads a library of ROCm, and fails in many ways without
            raise HardwareError(f"AMD SMI is not there: {error}; it comes with ROCm") from None
    try:
        library.amdsmi_init()
    except library.AmdSmiException as error:
        raise HardwareError(f"AMD SMI does not answer: {error}") from None
    return library
