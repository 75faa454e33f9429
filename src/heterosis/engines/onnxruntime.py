"""ONNX Runtime on the CPU: runs ``.onnx`` files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime

ERRORS_ONLY = 3

_DTYPES = {"float": "float32", "double": "float64", "string": "object"}
"""ONNX Runtime's names of data types where numpy's differ."""


class OnnxruntimeEngine:
    """Loads ONNX models with ONNX Runtime's CPU provider."""

    name = "onnxruntime"

    def load(self, artifact: Path, threads: int) -> "OnnxruntimeSession":
        """Load an ONNX model; see `Engine.load`."""
        check_file(artifact)
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime is not usable here ({error}); pip install heterosis") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.inter_op_num_threads = 1
        if threads:
            options.intra_op_num_threads = threads
            # Instances take turns on their cores: a thread that spins for its next piece of work steals the others'.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            loaded = onnxruntime.InferenceSession(str(artifact), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineError(f"onnxruntime cannot load {artifact}: {error}") from error
        for node in (*loaded.get_inputs(), *loaded.get_outputs()):
            if not node.type.startswith("tensor("):
                raise EngineError(f"{artifact}: {node.name!r} is a {node.type}; only tensors can be served")
        return OnnxruntimeSession(artifact, loaded)


class OnnxruntimeSession:
    """An ONNX model ready to run."""

    def __init__(self, artifact: Path, session: "onnxruntime.InferenceSession") -> None:
        """Read what the model takes and gives."""
        self.artifact = artifact
        self.inputs = tuple(_spec(node) for node in session.get_inputs())
        self.outputs = tuple(_spec(node) for node in session.get_outputs())
        self._session: onnxruntime.InferenceSession | None = session

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`."""
        if self._session is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        names = [spec.name for spec in self.outputs]
        try:
            arrays = self._session.run(names, dict(inputs))
        except Exception as error:
            raise EngineError(f"onnxruntime failed on {self.artifact}: {error}") from error
        return dict(zip(names, arrays, strict=True))

    def close(self) -> None:
        """Drop the session; its memory goes with it."""
        self._session = None


def _spec(node: Any) -> TensorSpec:
    """Read an input or output; lengths that are symbols or unknown become -1."""
    element = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(length if isinstance(length, int) and length >= 0 else DYNAMIC for length in node.shape)
    return TensorSpec(name=node.name, dtype=_DTYPES.get(element, element), shape=shape)
