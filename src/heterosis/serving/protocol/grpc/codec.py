"""Requests and responses to infer, between their wire form and arrays.

Raw tensors are neither copied out of a request nor more than once into a response. They lie where they happen to lie in
the message; on their way to a worker they are put where engines want them. Sources: see inference.proto.
"""

import functools
import reprlib
from collections.abc import Mapping, Sequence

import msgspec
from google.protobuf.message import DecodeError

from heterosis.serving.protocol.grpc.contents import from_contents
from heterosis.serving.protocol.grpc.frames import put_in, take_out, wrapped
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from heterosis.serving.protocol.messages import InferRequest, InferResponse, Parameters, RequestedOutput, Slice
from heterosis.serving.protocol.outputs import asked_for, put, requested
from heterosis.serving.protocol.shared_memory import NONE_SHARED, SharedMemory, slice_of
from heterosis.serving.protocol.tensors import Array, Buffer, datatype_of, from_binary, to_binary
from heterosis.terms.errors import HeterosisError, InvalidInputError

_RAW_INPUTS = ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_Items = tuple[tuple[str, str | int | float | bool], ...]
_STREAMED = ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER

REMEMBERED, REMEMBERED_BYTES, LONGEST_ID = 512, 2048, 128
"""How many messages but for their tensors, up to how long, are read but once, and as many written; but none with a
longer id, since those are clients'."""


class GrpcInferRequest(InferRequest, frozen=True, kw_only=True):
    """A request to infer, with the model that it is for; over HTTP, the path says that."""

    model_name: str
    model_version: str = ""


def decode_infer_request(message: bytes, shared: SharedMemory = NONE_SHARED) -> GrpcInferRequest:
    """Read a ``ModelInferRequest``. Raise InvalidInputError, naming the field.

    Arrays may share its memory, and need not be aligned.
    """
    rest, raw = take_out(message, _RAW_INPUTS)
    asked = _remembered(rest) if len(rest) <= REMEMBERED_BYTES else _asked(rest)
    return GrpcInferRequest(
        model_name=asked.model_name,
        model_version=asked.model_version,
        id=asked.id,
        inputs=_inputs(asked.inputs, raw, shared),
        outputs=asked.outputs,
        binary_output=True,
        parameters=asked.parameters,
    )


class _Source(msgspec.Struct, frozen=True):
    """A tensor, and where its data are, if not in raw form."""

    name: str
    label: str
    datatype: str
    shape: list[int]
    contents: InferTensorContents | None
    part: Slice | None


class _Asked(msgspec.Struct, frozen=True):
    """A request without its raw tensors, read and checked."""

    model_name: str
    model_version: str
    id: str
    inputs: Sequence[_Source]
    outputs: Mapping[str, RequestedOutput]
    parameters: Parameters


def _asked(message: bytes) -> _Asked:
    try:
        wire = ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise InvalidInputError(f"the message is no ModelInferRequest: {error}") from None
    outputs: dict[str, RequestedOutput] = {}
    for output in wire.outputs:
        label = f"output {reprlib.repr(output.name)}"
        if output.name in outputs:
            raise InvalidInputError(f"{label} is asked for twice")
        outputs[output.name] = requested(label, from_parameters(label, output.parameters), binary=True)
    inputs: dict[str, _Source] = {}
    for tensor in wire.inputs:
        label = f"input {reprlib.repr(tensor.name)}"
        if tensor.name in inputs:
            raise InvalidInputError(f"{label} is given twice")
        part = slice_of(label, from_parameters(label, tensor.parameters))
        contents = tensor.contents if tensor.HasField("contents") else None
        inputs[tensor.name] = _Source(tensor.name, label, tensor.datatype, list(tensor.shape), contents, part)
    parameters = from_parameters("the request", wire.parameters)
    return _Asked(wire.model_name, wire.model_version, wire.id, list(inputs.values()), outputs, parameters)


_remembered = functools.lru_cache(REMEMBERED)(_asked)
"""A client's requests are mostly alike but for the bytes of their tensors."""


def encode_infer_response(
    response: InferResponse, request: InferRequest, shared: SharedMemory = NONE_SHARED
) -> list[Buffer]:
    """Write a ``ModelInferResponse`` in parts. Raise InvalidInputError where an output does not fit its memory."""
    raw: list[Buffer] = []
    described = []
    for name, array, wanted in asked_for(response, request):
        placed: Parameters = {}
        if wanted.shared is None:
            raw.append(to_binary(array))
        else:
            placed = put(shared, wanted.shared, array)
            raw.append(b"")
        described.append((name, datatype_of(array), array.shape, tuple(placed.items())))
    named = response.id or request.id
    write = _head if len(named) <= LONGEST_ID else _head.__wrapped__
    parameters = tuple(response.parameters.items())
    head = write(response.model_name, response.model_version, named, parameters, tuple(described))
    return [head, *put_in(_RAW_OUTPUTS, raw)]


@functools.lru_cache(REMEMBERED)
def _head(
    model_name: str,
    model_version: str,
    request_id: str,
    parameters: _Items,
    outputs: tuple[tuple[str, str, tuple[int, ...], _Items], ...],
) -> bytes:
    """Write all but the tensors of an answer; of an output: name, data type, shape, parameters."""
    wire = ModelInferResponse(model_name=model_name, model_version=model_version, id=request_id)
    _to_parameters(dict(parameters), wire.parameters)
    for name, datatype, shape, placed in outputs:
        _to_parameters(dict(placed), wire.outputs.add(name=name, datatype=datatype, shape=shape).parameters)
    return bytes(wire.SerializeToString())


def encode_streamed(parts: Sequence[Buffer]) -> list[Buffer]:
    """Put a ``ModelInferResponse`` into a ``ModelStreamInferResponse``."""
    return wrapped(_STREAMED, parts)


def encode_infer_request(model: str, request: InferRequest) -> bytes:
    """Write a ``ModelInferRequest`` with raw contents."""
    wire = ModelInferRequest(model_name=model, id=request.id)
    _to_parameters(request.parameters, wire.parameters)
    for name, array in request.inputs.items():
        wire.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
    for name in request.outputs:
        wire.outputs.add(name=name)
    raw = [to_binary(array) for array in request.inputs.values()]
    return b"".join([wire.SerializeToString(), *put_in(_RAW_INPUTS, raw)])


def decode_infer_response(message: bytes) -> InferResponse:
    """Read a ``ModelInferResponse`` with raw contents. Raise HeterosisError where it is none."""
    try:
        rest, raw = take_out(message, _RAW_OUTPUTS)
        wire = ModelInferResponse.FromString(rest)
        outputs = {
            output.name: from_binary(f"output {output.name!r}", output.datatype, list(output.shape), data)
            for output, data in zip(wire.outputs, raw, strict=True)
        }
        parameters = from_parameters("the answer", wire.parameters)
    except (DecodeError, InvalidInputError, ValueError) as error:
        raise HeterosisError(f"the server's answer does not follow the Open Inference Protocol: {error}") from None
    return InferResponse(
        model_name=wire.model_name,
        model_version=wire.model_version,
        id=wire.id,
        outputs=outputs,
        parameters=parameters,
    )


def from_parameters(label: str, parameters: Mapping[str, InferParameter]) -> Parameters:
    """Read parameters as plain values."""
    values: dict[str, str | int | float | bool] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidInputError(f"parameter {name!r} of {label} has no value")
        values[name] = getattr(parameter, kind)
    return values


def _to_parameters(values: Parameters, parameters: Mapping[str, InferParameter]) -> None:
    for name, value in values.items():
        match value:
            case bool():
                parameters[name].bool_param = value
            case int():
                parameters[name].int64_param = value
            case float():
                parameters[name].double_param = value
            case str():
                parameters[name].string_param = value


def _inputs(sources: Sequence[_Source], raw: Sequence[memoryview], shared: SharedMemory) -> dict[str, Array]:
    found: dict[str, Array] = {}
    left = list(reversed(raw))
    for source in sources:
        label, datatype, shape = source.label, source.datatype, source.shape
        if source.contents is not None and (raw or source.part is not None):
            raise InvalidInputError(f"{label} has contents, and its data elsewhere as well")
        if source.part is not None:
            found[source.name] = from_binary(label, datatype, shape, shared.read(source.part))
        elif not raw:
            found[source.name] = from_contents(label, datatype, shape, source.contents or InferTensorContents())
        elif left:
            found[source.name] = from_binary(label, datatype, shape, left.pop(), align=False)
        else:
            raise InvalidInputError(f"{label} has no data: raw_input_contents has only {len(raw)} elements")
    if left:
        raise InvalidInputError(f"raw_input_contents has {len(raw)} elements, {len(left)} of them for no input")
    return found
