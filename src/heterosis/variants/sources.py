"""The models that variants are made of."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from heterosis.terms.errors import UsageError
from heterosis.variants.digests import digest

if TYPE_CHECKING:
    import onnx


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An ONNX file, and what is to be known of it before anything is made of it."""

    path: Path
    digest: str
    """Of the file, and of those in which it keeps its weights."""
    size_bytes: int
    precision: str
    """``fp32``, ``fp16`` or ``int8``."""
    inputs: tuple[str, ...]


def read_source(path: Path) -> Source:
    """Read an ONNX file. Raise UsageError where it is none."""
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
