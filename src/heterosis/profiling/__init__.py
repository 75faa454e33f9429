"""Measures what each configuration of a pipeline's variants costs on this machine."""

from heterosis.profiling.profiler import profile
from heterosis.profiling.settings import Progress, Settings

__all__ = ["Progress", "Settings", "profile"]
