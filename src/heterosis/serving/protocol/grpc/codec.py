"""Requests and responses to infer, between their wire form and arrays.

Raw tensors are neither copied out of a request nor more than once into a response. They lie where they happen to lie in
the message; on their way to a worker they are put where engines want them. Sources: see inference.proto.
"""

import functools
import reprlib
from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError

from heterosis.serving.protocol.asked import (
    LONGEST_ID,
    REMEMBERED,
    REMEMBERED_BYTES,
    Asked,
    Raw,
    Source,
    arrays_of,
    put_once,
)
from heterosis.serving.protocol.grpc.contents import from_contents
from heterosis.serving.protocol.grpc.frames import put_in, take_out, wrapped
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
    ModelStreamInferResponse,
)
from heterosis.serving.protocol.messages import InferRequest, InferResponse, Parameters, RequestedOutput
from heterosis.serving.protocol.outputs import asked_for, put, requested
from heterosis.serving.protocol.shared_memory import NONE_SHARED, SharedMemory, slice_of
from heterosis.serving.protocol.tensors import Array, Buffer, datatype_of, from_binary, to_binary
from heterosis.terms.errors import HeterosisError, InvalidInputError

_RAW_INPUTS = ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUTS = ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_Items = tuple[tuple[str, str | int | float | bool], ...]
_STREAMED = ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER


def decode_infer_request(message: bytes, shared: SharedMemory = NONE_SHARED) -> InferRequest:
    """Read a ``ModelInferRequest``. Raise InvalidInputError, naming the field.

    Arrays may share its memory, and need not be aligned.
    """
    return with_tensors(*read_infer_request(message), shared)


def read_infer_request(message: bytes) -> tuple[Asked, Raw]:
    """Take a request apart: what is asked for, and its raw tensors. Raise InvalidInputError."""
    rest, raw = take_out(message, _RAW_INPUTS)
    asked = _remembered(rest) if len(rest) <= REMEMBERED_BYTES else _asked(rest)
    return asked, raw


def with_tensors(asked: Asked, raw: Raw, shared: SharedMemory = NONE_SHARED) -> InferRequest:
    """Put a request that was taken apart together, its tensors as arrays. Raise InvalidInputError."""
    if raw:
        missing: list[Source] = []
        for source in asked.inputs:
            if source.written is not None:
                raise InvalidInputError(f"{source.label} has contents, and its data elsewhere as well")
            if source.part is None:
                missing.append(source)
        if len(missing) > len(raw):
            raise InvalidInputError(
                f"{missing[len(raw)].label} has no data: raw_input_contents has only {len(raw)} elements"
            )
        if len(missing) < len(raw):
            raise InvalidInputError(
                f"raw_input_contents has {len(raw)} elements, {len(raw) - len(missing)} of them for no input"
            )
    return asked.request(arrays_of(asked.inputs, raw or None, shared, _contents, align=False))


def _contents(source: Source) -> Array:
    return from_contents(source.label, source.datatype, source.shape, source.written or InferTensorContents())


def _asked(message: bytes) -> Asked:
    try:
        wire = ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise InvalidInputError(f"the message is no ModelInferRequest: {error}") from None
    outputs: dict[str, RequestedOutput] = {}
    for output in wire.outputs:
        label = f"output {reprlib.repr(output.name)}"
        put_once(outputs, output.name, label, requested(label, from_parameters(label, output.parameters), binary=True))
    inputs: dict[str, Source] = {}
    for tensor in wire.inputs:
        label = f"input {reprlib.repr(tensor.name)}"
        if tensor.name in inputs:
            raise InvalidInputError(f"{label} is given twice")
        part = slice_of(label, from_parameters(label, tensor.parameters))
        contents = tensor.contents if tensor.HasField("contents") else None
        if contents is not None and part is not None:
            raise InvalidInputError(f"{label} has contents, and its data elsewhere as well")
        inputs[tensor.name] = Source(tensor.name, label, tensor.datatype, list(tensor.shape), contents, part)
    return Asked(
        model_name=wire.model_name,
        model_version=wire.model_version,
        id=wire.id,
        inputs=list(inputs.values()),
        outputs=outputs,
        binary_output=True,
        parameters=from_parameters("the request", wire.parameters),
    )


_remembered = functools.lru_cache(REMEMBERED)(_asked)


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
