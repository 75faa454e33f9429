"""Counts the CPU time that a server spends inside its engine. Python imports this by itself, in every process of it.

A bare loop beside a server tells what the engine takes, but on a machine whose speed goes up and down not to less than
some percent, which is more than what a server adds to a model of ten milliseconds. So the time is also taken where it
is spent: around each run of ONNX Runtime, on the thread that runs it (models have one thread here). It costs every
server the same few microseconds. Each process writes to a file of its own: nanoseconds, and runs.
"""

import importlib.abc
import importlib.util
import mmap
import os
import sys
import time
from pathlib import Path

MODULE = "onnxruntime.capi.onnxruntime_inference_collection"
FOLDER = os.environ.get("PEER_METER")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the engine's module as all others do, and has its sessions metered once it is loaded."""

    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.Session.run = _metered(module.Session.run)

        spec.loader.exec_module = exec_module
        return spec


def _metered(run):
    counts, owner = None, 0

    def metered(*args, **kwargs):
        nonlocal counts, owner
        if owner != os.getpid():  # forked since
            counts, owner = _counts(), os.getpid()
        begin = time.thread_time_ns()
        try:
            return run(*args, **kwargs)
        finally:
            counts[0] += time.thread_time_ns() - begin
            counts[1] += 1

    return metered


def _counts():
    with (Path(FOLDER) / str(os.getpid())).open("w+b") as file:
        file.truncate(16)
        return memoryview(mmap.mmap(file.fileno(), 16)).cast("Q")


if FOLDER:
    sys.meta_path.insert(0, _Finder())
