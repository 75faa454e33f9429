"""What every engine checks before it runs, so that all refuse the same mistake with the same words."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heterosis.engines.engine import Tensors
from heterosis.terms import TensorSpec
from heterosis.terms.errors import EngineError


def check_file(artifact: Path) -> None:
    """Raise EngineError where there is no file to load."""
    if not artifact.is_file():
        raise EngineError(f"no model file {artifact}; build the variants again or correct the path")


def check_inputs(inputs: Tensors, specs: Sequence[TensorSpec], artifact: Path) -> None:
    """Raise EngineError, naming the tensor, where one is missing, unknown, or of another data type or shape."""
    for spec in specs:
        if spec.name not in inputs:
            raise EngineError(
                f"{artifact}: missing input {spec.name!r}; got {_names(inputs)}, wanted {_names(s.name for s in specs)}"
            )
        array = inputs[spec.name]
        if not isinstance(array, np.ndarray):
            raise EngineError(f"{artifact}: input {spec.name!r} is a {type(array).__name__}, wanted a numpy array")
        if _fits(spec, array.dtype, array.shape):
            continue
        if array.dtype.name != spec.dtype:
            raise EngineError(f"{artifact}: input {spec.name!r} has data type {array.dtype.name}, wanted {spec.dtype}")
        if not spec.admits(array.shape):
            raise EngineError(
                f"{artifact}: input {spec.name!r} has shape {list(array.shape)}, wanted {list(spec.shape)} "
                "(-1 is any length)"
            )
    if len(inputs) > len(specs):
        unknown = inputs.keys() - {spec.name for spec in specs}
        raise EngineError(f"{artifact}: unknown input {_names(unknown)}; wanted {_names(s.name for s in specs)}")


@functools.lru_cache(1024)
def _fits(spec: TensorSpec, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> bool:
    """Remembered, since what comes is mostly alike."""
    return dtype.name == spec.dtype and spec.admits(shape)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"
