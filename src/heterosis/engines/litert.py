"""LiteRT (TensorFlow Lite) on the CPU: runs ``.tflite`` files.

A model whose own inputs and outputs are 8-bit integers with a scale is fed and read in float32 all the same, quantised
at the door: what a stage's hooks see does not depend on the variant.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ai_edge_litert.interpreter import Interpreter


class LitertEngine:
    """Loads TensorFlow Lite models with LiteRT's interpreter and its XNNPACK kernels."""

    name = "litert"

    def load(self, artifact: Path, threads: int) -> "LitertSession":
        """Load a TensorFlow Lite model; see `Engine.load`."""
        check_file(artifact)
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise EngineError(f"LiteRT is not usable here ({error}); pip install heterosis[litert]") from error
        try:
            # Its own choice of threads (None) is one.
            interpreter = Interpreter(
                str(artifact), num_threads=threads or None, experimental_delegates=self._delegates()
            )
            return LitertSession(artifact, interpreter)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self.name} cannot load {artifact}: {error}") from error

    def _delegates(self) -> "Sequence[object]":
        """What takes over parts of the model: nothing, beside the kernels that are built in."""
        return ()


class _Port(NamedTuple):
    """An input or output: where it lies, what it is called, and how its integers stand for numbers, if they do."""

    place: int
    spec: TensorSpec
    integer: "np.dtype[Any] | None"
    scale: float
    zero_point: int


class LitertSession:
    """A TensorFlow Lite model ready to run. Memory is laid out anew whenever a shape changes."""

    def __init__(self, artifact: Path, interpreter: "Interpreter") -> None:
        """Read what the model takes and gives, by the names of its signature where it has just one."""
        self.artifact = artifact
        inputs, outputs = _names(interpreter)
        self._inputs = tuple(_port(each, inputs) for each in interpreter.get_input_details())
        self._outputs = tuple(_port(each, outputs) for each in interpreter.get_output_details())
        self.inputs = tuple(port.spec for port in self._inputs)
        self.outputs = tuple(port.spec for port in self._outputs)
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._interpreter: Interpreter | None = interpreter
        interpreter.allocate_tensors()

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`."""
        interpreter = self._interpreter
        if interpreter is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        try:
            self._fit(interpreter, inputs)
            for port in self._inputs:
                interpreter.set_tensor(port.place, _stored(inputs[port.spec.name], port))
            interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            self._shapes.clear()  # who knows what is laid out now
            raise EngineError(f"litert failed on {self.artifact}: {error}") from error
        return {port.spec.name: _number(interpreter.get_tensor(port.place), port) for port in self._outputs}

    def close(self) -> None:
        """Drop the interpreter; its memory goes with it."""
        self._interpreter = None

    def _fit(self, interpreter: "Interpreter", inputs: Tensors) -> None:
        """Lay out memory for these shapes."""
        shapes = {port.place: inputs[port.spec.name].shape for port in self._inputs}
        if shapes != self._shapes:
            for port in self._inputs:
                if DYNAMIC in port.spec.shape:
                    interpreter.resize_tensor_input(port.place, list(shapes[port.place]), strict=True)
            interpreter.allocate_tensors()
            self._shapes = shapes


def _names(interpreter: "Interpreter") -> "tuple[Mapping[int, str], Mapping[int, str]]":
    """Return the signature's names of the inputs and outputs, by position; none where there is no single signature."""
    signatures = list(interpreter._get_full_signature_list().values())  # noqa: SLF001 - the public list has no positions
    if len(signatures) != 1:
        return {}, {}
    inputs, outputs = ({index: name for name, index in signatures[0][side].items()} for side in ("inputs", "outputs"))
    return inputs, outputs


def _port(details: "Mapping[str, Any]", names: "Mapping[int, str]") -> _Port:
    signature = details.get("shape_signature", details["shape"])
    shape = tuple(int(length) if length >= 0 else DYNAMIC for length in signature)
    scale, zero_point = details["quantization"]
    kind = np.dtype(details["dtype"])
    quantised = scale != 0 and kind.kind in "iu"
    name = names.get(details["index"], details["name"])
    spec = TensorSpec(name=name, dtype="float32" if quantised else kind.name, shape=shape)
    return _Port(details["index"], spec, kind if quantised else None, float(scale), int(zero_point))


def _stored(array: np.ndarray[Any, Any], port: _Port) -> np.ndarray[Any, Any]:
    """Return numbers as the model stores them."""
    if port.integer is None:
        return array
    limits = np.iinfo(port.integer)
    return np.clip(np.round(array / port.scale) + port.zero_point, limits.min, limits.max).astype(port.integer)


def _number(array: np.ndarray[Any, Any], port: _Port) -> np.ndarray[Any, Any]:
    """Return what stored integers stand for."""
    if port.integer is None:
        return array
    return (array.astype(np.float32) - port.zero_point) * np.float32(port.scale)
