"""Published facts about hardware, as data, each with its source."""

from heterosis.catalogue.cpu import CpuIdentity, find_cpu

__all__ = ["CpuIdentity", "find_cpu"]
