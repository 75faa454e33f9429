"""Measures what each configuration of a pipeline's variants costs on this machine."""

from heterosis.profiling.profiler import profile
from heterosis.profiling.pruning import calls_that_can_wait
from heterosis.profiling.settings import Progress, Settings

__all__ = ["Progress", "Settings", "calls_that_can_wait", "profile"]
