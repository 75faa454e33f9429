"""Digests: what the results in the store are found by."""

import hashlib
import pickle
import platform
import sys
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from heterosis.pipeline.function import Pipeline

CPU_FEATURES = {"avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"} | {
    "asimddp",
    "asimdhp",
    "i8mm",
    "bf16",
    "sve",
}
"""Instructions that decide how inference libraries compute, and so what comes out; Linux' names, x86 and Arm."""


def digest(*values: Any) -> str:
    """Return the SHA-256 of values of any nesting; lists and tuples of the same items are the same."""
    hasher = hashlib.sha256()
    for value in values:
        for part in _parts(value):
            hasher.update(part)
    return hasher.hexdigest()


def source_digest(pipeline: Pipeline) -> str:
    """Return the digest of a pipeline's code: its own and its stages' modules, and those imported from beside them."""
    functions = (pipeline.function, *(stage.implementation for stage in pipeline.stages))
    own = {_file_of(function.__module__) for function in functions}
    if None in own:
        return uuid.uuid4().hex  # typed in by hand: nothing to know it by next time
    folders = {file.parent for file in own if file}
    imported = {_file_of(name) for name in list(sys.modules)} - own
    beside = {file for file in imported if file and "site-packages" not in file.parts and folders & set(file.parents)}
    return digest(
        *((file.name, file.read_bytes()) for file in sorted(own | beside, key=str) if file and file.is_file())
    )


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages. Raise PackageNotFoundError where one is not installed."""
    return {package: metadata.version(package) for package in packages}


def cpu() -> list[str]:
    """Return the kind of processor and its instructions that matter here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return [platform.machine(), *sorted(CPU_FEATURES & set(flags.split()))]


def _file_of(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file else None


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    """Cut a value into bytes that no other value is cut into."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield f"array {value.dtype.str} {value.shape}:".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}:".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, dict):
        yield f"dict {len(value)}:".encode()
        for key, item in value.items():
            yield from _parts(key)
            yield from _parts(item)
    elif isinstance(value, bytes):
        yield f"bytes {len(value)}:".encode()
        yield value
    else:
        yield from _parts(value.encode() if isinstance(value, str) else pickle.dumps(value))
        yield type(value).__name__.encode()
