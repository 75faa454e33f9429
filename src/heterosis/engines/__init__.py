"""Inference engines, one a file, behind `Engine`. Importing them loads none of their libraries."""

from heterosis.engines.emulated import EmulatedEngine
from heterosis.engines.engine import Engine, Session, Tensors
from heterosis.engines.litert import LitertEngine
from heterosis.engines.onnxruntime import PROVIDERS, OnnxruntimeEngine
from heterosis.engines.openvino import OpenvinoEngine
from heterosis.engines.telemetry import decline
from heterosis.engines.torch import TorchEngine

decline()

_ALL: list[Engine] = [
    *map(OnnxruntimeEngine, PROVIDERS),
    OpenvinoEngine(),
    LitertEngine(),
    TorchEngine(),
    EmulatedEngine(),
]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in _ALL}

__all__ = ["ENGINES", "Engine", "Session", "Tensors"]
