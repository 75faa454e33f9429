"""Inference engines, one a file, behind `Engine`. Importing them loads none of their libraries."""

from pathlib import Path

from heterosis.engines.edgetpu import EdgetpuEngine
from heterosis.engines.emulated import EmulatedEngine
from heterosis.engines.engine import Engine, Session, Tensors
from heterosis.engines.litert import LitertEngine
from heterosis.engines.onnxruntime import PROVIDERS, OnnxruntimeEngine
from heterosis.engines.openvino import OpenvinoEngine
from heterosis.engines.telemetry import decline
from heterosis.engines.tensorrt import TensorrtEngine
from heterosis.engines.torch import TorchEngine
from heterosis.engines.vitis_ai import VitisaiEngine
from heterosis.terms.errors import UsageError

decline()

_ALL: list[Engine] = [
    *map(OnnxruntimeEngine, PROVIDERS),
    OpenvinoEngine(),
    LitertEngine(),
    TorchEngine(),
    TensorrtEngine(),
    EdgetpuEngine(),
    VitisaiEngine(),
    EmulatedEngine(),
]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in _ALL}

ENGINE_OF = {".onnx": "onnxruntime", ".tflite": "litert", ".xml": "openvino", ".pt2": "torch"}
"""The engine that runs a model as its author made it, by the suffix of its file."""


def engine_of(artifact: Path) -> Engine:
    """Return the engine that runs a file as it is. Raise UsageError where there is none."""
    if artifact.suffix not in ENGINE_OF:
        raise UsageError(
            f"{artifact}: no engine runs {artifact.suffix or 'such'} files; there are engines for "
            f"{', '.join(ENGINE_OF)} (`python -m heterosis.variants.exporting` makes ONNX of Keras models)"
        )
    return ENGINES[ENGINE_OF[artifact.suffix]]


__all__ = ["ENGINES", "ENGINE_OF", "Engine", "Session", "Tensors", "engine_of"]
