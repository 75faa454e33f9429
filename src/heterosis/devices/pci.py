"""What is on the PCI bus, as sysfs tells it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from heterosis.devices.sysfs import inside, number

AMD, GLOBAL_UNICHIP, INTEL, NVIDIA, XILINX = 0x1002, 0x1AC1, 0x8086, 0x10DE, 0x10EE

DISPLAY, PROCESSING = 0x03, 0x12
"""Classes of the PCI Code and ID Assignment Specification: GPUs, and other accelerators."""


class PciDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A function of a card. ``folder`` is its own in sysfs."""

    address: str
    vendor: int
    device: int
    kind: int
    """The base class."""
    folder: Path


def pci(root: Path, vendor: int) -> Iterator[PciDevice]:
    """Return a vendor's functions, by address."""
    for folder in inside(root / "sys/bus/pci/devices"):
        if number(folder / "vendor", 16) == vendor:
            yield PciDevice(
                address=folder.name,
                vendor=vendor,
                device=number(folder / "device", 16) or 0,
                kind=(number(folder / "class", 16) or 0) >> 16,
                folder=folder,
            )
