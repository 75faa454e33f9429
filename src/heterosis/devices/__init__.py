"""What hardware this machine offers, and the power modes that it can be brought into."""

from heterosis.devices.cpu import memory_bytes, usable_cores
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.machine import FINDERS, Machine, describe, local_fleet, look, node_name
from heterosis.devices.modes.registry import PowerModes, open_modes

__all__ = [
    "FINDERS",
    "Finding",
    "Machine",
    "PowerModes",
    "Unseen",
    "describe",
    "local_fleet",
    "look",
    "memory_bytes",
    "node_name",
    "open_modes",
    "usable_cores",
]
