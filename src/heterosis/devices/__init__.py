"""What hardware this machine offers, and the power modes that it can be brought into."""

from heterosis.devices.machine import describe, local_fleet, memory_bytes, usable_cores

__all__ = ["describe", "local_fleet", "memory_bytes", "usable_cores"]
