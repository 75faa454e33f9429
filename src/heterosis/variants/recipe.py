"""What a recipe is: one way to make a variant of a model."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.variants.digests import digest, versions

Items = Sequence[Mapping[str, np.ndarray[Any, Any]]]
"""Inputs of the model, each for one item, batch axis first."""


class Unsuited(Exception):  # noqa: N818 - no error: it is so
    """The model has nothing that the recipe could work on, or this machine nothing that could run the result."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How to make one kind of variant.

    ``make(source, items, folder)`` writes artifacts into a folder, from a file of one of the ``sources`` and from
    inputs to calibrate with; what else it leaves there is thrown away. It raises `Unsuited` where it cannot do a model
    any good. ``version`` changes with what it makes. A recipe without ``make`` takes the file as it is.
    """

    engine: str
    precision: str = ""
    """Empty for the precision that the model itself has."""
    sources: tuple[str, ...] = (".onnx", ".pt2")
    """Suffixes of the files that it can be made of. Others than ONNX are first exported to it."""
    packages: tuple[str, ...] = ()
    """The packages that decide what comes out."""
    extra: str = ""
    """The extra of heterosis that installs what is missing of them; by default of the package's own name."""
    tools: Mapping[str, str] = {}
    """Programs that it runs, each with where it is to be had."""
    files: Mapping[str, str] = {}
    """Environment variables that name files which it reads, each with what it names."""
    present: Callable[[], str] = lambda: ""
    """Says what this machine lacks to run the result, if anything."""
    artifacts: Mapping[str, str] = {}
    """Files that it makes, alternatives of one variant, and how each is made. The most accurate is kept, of equals the
    first, see also ``instead_of``; some may be missing."""
    make: Callable[[Path, Items, Path], None] | None = None
    calibrated: bool = False
    instead_of: str = ""
    """The recipe in whose place this one is tried where its result misses the accuracy floor; then the first of the
    artifacts that reaches the floor is kept, since the first is the fastest."""
    version: int = 1

    def lacking(self) -> str:
        """Say what is missing on this machine to make or run the result; empty where nothing is."""
        for package in self.packages:
            try:
                metadata.version(package)
            except metadata.PackageNotFoundError:
                return f"{package} is not installed; pip install heterosis[{self.extra or package}]"
        for tool, origin in self.tools.items():
            if shutil.which(tool) is None:
                return f"{tool} is not on the PATH; {origin}"
        for variable, meaning in self.files.items():
            if not Path(os.environ.get(variable, "")).is_file():
                return f"the environment variable {variable} names no file; set it to {meaning}"
        return self.present()

    def made_with(self) -> dict[str, str]:
        """Return the versions of what decides what comes out, and digests of the files."""
        files = {variable: digest(Path(os.environ[variable]).read_bytes()) for variable in self.files}
        return versions(*self.packages) | {tool: _said_by(tool) for tool in self.tools} | files


def _said_by(tool: str) -> str:
    """Return a program's version, as it tells it; its file's date where it does not."""
    path = shutil.which(tool)
    assert path is not None  # noqa: S101 - see `Recipe.lacking`
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return str(Path(path).stat().st_mtime_ns)
    return told.stdout.strip() or str(Path(path).stat().st_mtime_ns)
