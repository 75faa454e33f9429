"""ONNX Runtime: runs ``.onnx`` files, on the CPU or by one of its other execution providers.

Each provider is an engine of its own, so that a variant says what it runs by, and each is measured apart. ONNX Runtime
falls back to the CPU where a provider fails to start; here that is an error, since such a variant would not be what it
is called. What a provider cannot do of a model, it still leaves to the CPU's kernels.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
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


CPU = "CPUExecutionProvider"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One of ONNX Runtime's execution providers: its own name for it, and the package whose build has it."""

    name: str
    package: str
    options: Callable[[int], Mapping[str, str]] = lambda _: {}
    """What it is to be told for so many threads."""


def _xnnpack(threads: int) -> Mapping[str, str]:
    return {"intra_op_num_threads": str(threads)} if threads else {}


def _openvino(threads: int) -> Mapping[str, str]:
    config = {"CPU": {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}} if threads else {}
    return {"device_type": "CPU", "precision": "FP32", **({"load_config": json.dumps(config)} if config else {})}


PROVIDERS = {
    "onnxruntime": Provider(name=CPU, package="onnxruntime"),
    "onnxruntime-cuda": Provider(name="CUDAExecutionProvider", package="onnxruntime-gpu"),
    "onnxruntime-tensorrt": Provider(name="TensorrtExecutionProvider", package="onnxruntime-gpu"),
    "onnxruntime-openvino": Provider(
        name="OpenVINOExecutionProvider", package="onnxruntime-openvino", options=_openvino
    ),
    "onnxruntime-xnnpack": Provider(
        name="XnnpackExecutionProvider", package="an onnxruntime built with --use_xnnpack", options=_xnnpack
    ),
}
"""The engines of this file."""


def present(engine: str) -> bool:
    """Whether the installed ONNX Runtime was built with the provider of an engine."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return PROVIDERS[engine].name in onnxruntime.get_available_providers()


class OnnxruntimeEngine:
    """Loads ONNX models with one of ONNX Runtime's providers."""

    def __init__(self, name: str = "onnxruntime") -> None:
        """Take the provider that goes by this name."""
        self.name = name
        self.provider = PROVIDERS[name]

    def load(self, artifact: Path, threads: int) -> "OnnxruntimeSession":
        """Load an ONNX model; see `Engine.load`."""
        check_file(artifact)
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime is not usable here ({error}); pip install heterosis") from error
        if not present(self.name):
            raise EngineError(
                f"this ONNX Runtime has no {self.provider.name}, which {self.name} needs; install "
                f"{self.provider.package} in place of onnxruntime"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.inter_op_num_threads = 1
        if threads:
            options.intra_op_num_threads = threads
            # Instances take turns on their cores: a thread that spins for its next piece of work steals the others'.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            wanted = [(self.provider.name, dict(self.provider.options(threads)))]
            loaded = onnxruntime.InferenceSession(str(artifact), options, providers=wanted)
        except Exception as error:
            raise EngineError(f"{self.name} cannot load {artifact}: {error}") from error
        if self.provider.name not in loaded.get_providers():
            raise EngineError(f"{self.name} cannot load {artifact}: {self.provider.name} did not start on this machine")
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
        self._names = [spec.name for spec in self.outputs]
        self._session: onnxruntime.InferenceSession | None = session

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`."""
        if self._session is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        try:
            arrays = self._session.run(self._names, dict(inputs))
        except Exception as error:
            raise EngineError(f"onnxruntime failed on {self.artifact}: {error}") from error
        return dict(zip(self._names, arrays))  # noqa: B905 - as many as were asked for

    def close(self) -> None:
        """Drop the session; its memory goes with it."""
        self._session = None


def _spec(node: Any) -> TensorSpec:
    """Read an input or output; lengths that are symbols or unknown become -1."""
    element = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(length if isinstance(length, int) and length >= 0 else DYNAMIC for length in node.shape)
    return TensorSpec(name=node.name, dtype=_DTYPES.get(element, element), shape=shape)
