"""Measures what each configuration of a pipeline's variants costs on this machine."""

from heterosis.profiling.profiler import profile
from heterosis.profiling.search import Decide
from heterosis.profiling.settings import Progress, Settings

__all__ = ["Decide", "Progress", "Settings", "profile"]
