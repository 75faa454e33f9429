"""What can be made of a model: the table of recipes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.variants import onnx_int8, openvino_ir

Items = Sequence[Mapping[str, np.ndarray[Any, Any]]]
"""Inputs of the model, each for one item, batch axis first."""


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


RECIPES: dict[str, Recipe] = {
    "onnxruntime": Recipe(engine="onnxruntime", packages=("onnxruntime",)),
    "onnxruntime-int8": Recipe(
        engine="onnxruntime",
        precision="int8",
        packages=("onnxruntime", "onnx"),
        artifact="model.onnx",
        make=onnx_int8.static,
        calibrated=True,
    ),
    "onnxruntime-int8-dynamic": Recipe(
        engine="onnxruntime",
        precision="int8-dynamic",
        packages=("onnxruntime", "onnx"),
        artifact="model.onnx",
        make=onnx_int8.dynamic,
    ),
    "openvino": Recipe(engine="openvino", packages=("openvino",), artifact="model.xml", make=openvino_ir.as_it_is),
    "openvino-bf16": Recipe(
        engine="openvino", precision="bf16", packages=("openvino",), artifact="model.xml", make=openvino_ir.bf16
    ),
    "openvino-int8": Recipe(
        engine="openvino",
        precision="int8",
        packages=("openvino", "onnxruntime", "onnx"),
        artifact="model.xml",
        make=openvino_ir.int8,
        calibrated=True,
    ),
}
"""In the order in which a stage's variants are listed; the first is the reference's."""

AS_IT_IS = "onnxruntime"
"""The recipe of what users of the model already have."""
