"""Google's Coral accelerators (Edge TPU), on USB and on PCI."""

import os
from collections.abc import Iterator
from pathlib import Path

from heterosis.catalogue import match_type
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.pci import GLOBAL_UNICHIP, pci
from heterosis.devices.sysfs import ROOT, inside, number
from heterosis.terms import Device

USB_IDS = {(0x1A6E, 0x089A): "not yet used since it was plugged in", (0x18D1, 0x9302): "in use before"}
"""It calls itself otherwise once the runtime has given it its program."""
PCI_ID = 0x089A


def find(root: Path = ROOT) -> Iterator[Finding | Unseen]:
    """Return the accelerators, sticks first."""
    index = 0
    for stick in inside(root / "sys/bus/usb/devices"):
        ids = (number(stick / "idVendor", 16) or 0, number(stick / "idProduct", 16) or 0)
        if ids in USB_IDS:
            bus, unit = (number(stick / name) or 0 for name in ("busnum", "devnum"))
            node = root / f"dev/bus/usb/{bus:03}/{unit:03}"
            yield _finding(index, "Coral USB Accelerator", {"usb": stick.name, "state": USB_IDS[ids]})
            if not os.access(node, os.R_OK | os.W_OK):
                yield Unseen(
                    what=f"coral-{index}",
                    reason=f"{node} is not ours to write: install libedgetpu1-std, whose udev rule permits the group "
                    "plugdev, and join that group",
                )
            index += 1
    for card in pci(root, GLOBAL_UNICHIP):
        if card.device == PCI_ID:
            yield _finding(index, "Coral PCIe Accelerator", {"address": card.address, "driver": _driver(card.folder)})
            index += 1
    if index == 0 and (root / "dev/apex_0").exists():
        yield Unseen(what="Coral accelerator", reason="/dev/apex_0 is there, and its card is not on the PCI bus")


def _finding(index: int, model: str, facts: dict[str, str]) -> Finding:
    return Finding(device=Device(name=f"coral-{index}", type=match_type(model, "tpu")), model=model, facts=facts)


def _driver(folder: Path) -> str:
    found = folder / "driver"
    return found.resolve().name if found.exists() else "none: install gasket-dkms"
