"""What a look at this machine brings up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from heterosis.terms import Device


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A device that is here. Its type is the catalogue's where that knows it, with power figures, else it says not."""

    device: Device
    model: str
    """What it calls itself."""
    facts: dict[str, str] = {}
    """What else it tells: driver, address, instruction sets …"""
    modes: tuple[str, ...] = ()
    """Power modes that it can be brought into here."""


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be looked at, and why."""

    what: str
    reason: str


Find = Callable[[Path], Iterator[Finding | Unseen]]
"""Looks for devices of a kind in the files under a root; another than ``/`` has the files of another machine."""
