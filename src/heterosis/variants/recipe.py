"""What a recipe is: one way to make a variant of a model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

Items = Sequence[Mapping[str, np.ndarray[Any, Any]]]
"""Inputs of the model, each for one item, batch axis first."""


class Unsuited(Exception):  # noqa: N818 - no error: it is so
    """The model has nothing that the recipe could work on, or this machine nothing that could run the result."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How to make one kind of variant.

    ``make(source, items, folder)`` writes an artifact of this name into a folder, from an ONNX file and from inputs to
    calibrate with; what else it leaves there is thrown away. It raises `Unsuited` where it cannot do a model any good.
    ``version`` changes with what it makes. A recipe without ``make`` takes the file as it is.
    """

    engine: str
    precision: str = ""
    """Empty for the precision that the model itself has."""
    packages: tuple[str, ...]
    """The packages that decide what comes out."""
    artifact: str = ""
    make: Callable[[Path, Items, Path], None] | None = None
    calibrated: bool = False
    version: int = 1
