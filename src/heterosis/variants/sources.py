"""The models that variants are made of."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heterosis.engines import engine_of
from heterosis.terms.errors import EngineError, UsageError
from heterosis.variants.digests import digest

if TYPE_CHECKING:
    import onnx


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A model's file, and what is to be known of it before anything is made of it."""

    path: Path
    digest: str
    """Of the file, and of those in which it keeps its weights."""
    size_bytes: int
    precision: str
    """``fp32``, ``fp16`` or ``int8``."""
    inputs: tuple[str, ...]


def read_source(path: Path) -> Source:
    """Read a model. Raise UsageError where it is none, or none that any engine runs."""
    return _read_onnx(path) if path.suffix == ".onnx" else _read_with_its_engine(path)


def _read_with_its_engine(path: Path) -> Source:
    try:
        session = engine_of(path).load(path, threads=1)
    except EngineError as error:
        raise UsageError(str(error)) from error
    inputs = tuple(spec.name for spec in session.inputs)
    session.close()
    weights = path.with_suffix(".bin")
    files = [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]
    return Source(
        path=path,
        digest=digest(*(file.read_bytes() for file in files)),
        size_bytes=sum(file.stat().st_size for file in files),
        precision=_precision_of_tflite(path) if path.suffix == ".tflite" else "fp32",
        inputs=inputs,
    )


def _precision_of_tflite(path: Path) -> str:
    from ai_edge_litert.interpreter import Interpreter

    kinds = [details["dtype"] for details in Interpreter(str(path)).get_tensor_details()]
    if np.int8 in kinds or np.uint8 in kinds:
        return "int8"
    return "fp16" if np.float16 in kinds else "fp32"


def _read_onnx(path: Path) -> Source:
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's own
        raise UsageError(f"{path} is no ONNX model: {error}") from error
    weights = graph.initializer
    outside = {ExternalDataInfo(tensor).location for tensor in weights if uses_external_data(tensor)}
    files = [path, *(path.parent / location for location in sorted(outside))]
    fixed = {tensor.name for tensor in weights}
    return Source(
        path=path,
        digest=digest(*(file.read_bytes() for file in files)),
        size_bytes=sum(file.stat().st_size for file in files),
        precision=_precision(graph),
        inputs=tuple(value.name for value in graph.input if value.name not in fixed),
    )


def _precision(graph: "onnx.GraphProto") -> str:
    from onnx import TensorProto

    if any("Quantize" in node.op_type or node.op_type.endswith("Integer") for node in graph.node):
        return "int8"
    halves = sum(tensor.data_type == TensorProto.FLOAT16 for tensor in graph.initializer)
    return "fp16" if 2 * halves > len(graph.initializer) else "fp32"
