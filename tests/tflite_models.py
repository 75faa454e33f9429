"""Small TensorFlow Lite models, written operator by operator: nothing that is installed here makes any."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Array = np.ndarray[Any, Any]

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "int8": schema.TensorType.INT8,
}


class TfliteModel:
    """A model under construction. Tensors go by their names; those of an axis of -1 have any length there."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._buffers = [schema.BufferT()]
        self._codes: list[Any] = []
        self._names: dict[str, int] = {}

    def tensor(
        self, name: str, shape: Sequence[int], dtype: str = "float32", scale: float = 0.0, zero_point: int = 0
    ) -> str:
        """Add a tensor that is fed or computed."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = name.encode(), TYPES[dtype]
        tensor.shape = [1 if length < 0 else length for length in shape]
        if -1 in shape:
            tensor.shapeSignature = list(shape)
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        self._names[name] = len(self._graph.tensors)
        self._graph.tensors.append(tensor)
        return name

    def constant(self, name: str, value: Array) -> str:
        """Add a tensor that is fixed."""
        self.tensor(name, value.shape, value.dtype.name)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self._graph.tensors[self._names[name]].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return name

    def operator(self, kind: str, inputs: Sequence[str], output: str, **options: object) -> None:
        """Add an operator, by its name in the schema, such as ``Conv2D``, with the options of that name."""
        code = schema.OperatorCodeT()
        snake = {"Conv2D": "CONV_2D", "FullyConnected": "FULLY_CONNECTED", "ArgMax": "ARG_MAX"}.get(kind, kind.upper())
        code.builtinCode = getattr(schema.BuiltinOperator, snake)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        made = schema.OperatorT()
        made.opcodeIndex = len(self._codes)
        self._codes.append(code)
        made.inputs, made.outputs = [self._names[name] for name in inputs], [self._names[output]]
        table = {"Mean": "Reducer"}.get(kind, kind) + "Options"
        if hasattr(schema, table + "T"):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            made.builtinOptions = getattr(schema, table + "T")()
            for name, value in options.items():
                setattr(made.builtinOptions, name, value)
        self._graph.operators.append(made)

    def write(self, path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Path:
        """Write the model with a signature: its own names for tensors."""
        self._graph.inputs, self._graph.outputs = (
            [self._names[n] for n in side.values()] for side in (inputs, outputs)
        )
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = (self._maps(side) for side in (inputs, outputs))
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self._graph], self._buffers
        model.operatorCodes, model.signatureDefs = self._codes, [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path

    def _maps(self, side: Mapping[str, str]) -> list[Any]:
        maps = []
        for name, tensor in side.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), self._names[tensor]
            maps.append(entry)
        return maps
