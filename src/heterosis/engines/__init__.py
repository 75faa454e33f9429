"""Inference engines, one a file, behind `Engine`. Importing them loads none of their libraries."""

from heterosis.engines.emulated import EmulatedEngine
from heterosis.engines.engine import Engine, Session, Tensors
from heterosis.engines.onnxruntime import OnnxruntimeEngine
from heterosis.engines.openvino import OpenvinoEngine
from heterosis.engines.telemetry import decline

decline()

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (OnnxruntimeEngine(), OpenvinoEngine(), EmulatedEngine())
}

__all__ = ["ENGINES", "Engine", "Session", "Tensors"]
