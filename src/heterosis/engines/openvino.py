"""OpenVINO on the CPU: runs its own ``.xml`` files and ``.onnx`` files.

Where the hardware has bfloat16, OpenVINO by itself computes a float32 model in it, and its answers differ. Here a model
is computed in float32 unless its ``.xml`` says otherwise, so that a variant is what it is called.

Compiled models are not cached (``CACHE_DIR``): on the models of examples/ocr that saved 0.2 s of a load of 0.4 s and
next to nothing of the first run of a new shape, and several workers would write the same files at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError

if TYPE_CHECKING:
    import openvino

PRECISION_INFO = ["heterosis", "inference_precision"]
"""Where an ``.xml`` file says which arithmetic to compute in: ``f32`` (the default) or ``bf16``."""


class OpenvinoEngine:
    """Loads models with OpenVINO's CPU plugin."""

    name = "openvino"

    def load(self, artifact: Path, threads: int) -> "OpenvinoSession":
        """Load an IR or ONNX model; see `Engine.load`."""
        check_file(artifact)
        try:
            import openvino
        except ImportError as error:
            raise EngineError(f"OpenVINO is not usable here ({error}); pip install heterosis[openvino]") from error
        try:
            core = openvino.Core()
            model = core.read_model(artifact)
            options: dict[str, Any] = {
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,  # the process has pinned itself
                "INFERENCE_PRECISION_HINT": _precision(model),
            }
            if threads:
                options["INFERENCE_NUM_THREADS"] = threads
            return OpenvinoSession(artifact, core.compile_model(model, "CPU", options))
        except RuntimeError as error:
            raise EngineError(f"openvino cannot load {artifact}: {_plain(error)}") from error


class OpenvinoSession:
    """A compiled model with the one request that it runs over and over."""

    def __init__(self, artifact: Path, model: "openvino.CompiledModel") -> None:
        """Read what the model takes and gives."""
        self.artifact = artifact
        self.inputs = tuple(_spec(port) for port in model.inputs)
        self.outputs = tuple(_spec(port) for port in model.outputs)
        self._request: openvino.InferRequest | None = model.create_infer_request()

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`. The outputs are copies, safe from the next run."""
        if self._request is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        try:
            outputs = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            raise EngineError(f"openvino failed on {self.artifact}: {_plain(error)}") from error
        return {spec.name: outputs[position] for position, spec in enumerate(self.outputs)}

    def close(self) -> None:
        """Drop the compiled model; its memory goes with it."""
        self._request = None


def _precision(model: "openvino.Model") -> str:
    return str(model.get_rt_info(PRECISION_INFO).value) if model.has_rt_info(PRECISION_INFO) else "f32"


def _spec(port: Any) -> TensorSpec:
    """Read an input or output; lengths that are unknown become -1."""
    shape = tuple(axis.get_length() if axis.is_static else DYNAMIC for axis in port.partial_shape)
    return TensorSpec(name=_name(port), dtype=port.element_type.to_dtype().name, shape=shape)


def _name(port: Any) -> str:
    """Choose the model's own among the names of an input or output; folding constants may leave several."""
    own = port.node.friendly_name.removesuffix("/sink_port_0")
    return own if own in port.names else str(port.any_name)


def _plain(error: Exception) -> str:
    """Keep what OpenVINO says, without the places in its source that it says it from."""
    said = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in said if line and not line.startswith("Exception from"))
