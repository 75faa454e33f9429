"""Boards, as the device tree tells them."""

from pathlib import Path

from heterosis.devices.sysfs import text

PLACES = ("proc/device-tree", "sys/firmware/devicetree/base")


def board(root: Path) -> tuple[str, tuple[str, ...]]:
    """Return the name of the board, and what it is compatible with, most special first; nothing on other machines."""
    for place in PLACES:
        name = text(root / place / "model")
        if name:
            return name, tuple(text(root / place / "compatible").split("\0"))
    return "", ()
