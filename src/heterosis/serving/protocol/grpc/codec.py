"""Requests and responses to infer, between their wire form and arrays.

Raw tensors are neither copied out of a request nor more than once into a response. They lie where they happen to lie in
the message; on their way to a worker they are put where engines want them. Sources: see inference.proto.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.message import DecodeError

from heterosis.serving.protocol.grpc.contents import from_contents
from heterosis.serving.protocol.grpc.frames import put_in, take_out, wrapped
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import (
    InferParameter,
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
_STREAMED = ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER


class GrpcInferRequest(InferRequest, frozen=True, kw_only=True):
    """A request to infer, with the model that it is for; over HTTP, the path says that."""

    model_name: str
    model_version: str = ""


def decode_infer_request(message: bytes, shared: SharedMemory = NONE_SHARED) -> GrpcInferRequest:
    """Read a ``ModelInferRequest``. Raise InvalidInputError, naming the field.

    Arrays may share its memory, and need not be aligned.
    """
    rest, raw = take_out(message, _RAW_INPUTS)
    try:
        wire = ModelInferRequest.FromString(rest)
    except DecodeError as error:
        raise InvalidInputError(f"the message is no ModelInferRequest: {error}") from None
    outputs: dict[str, RequestedOutput] = {}
    for output in wire.outputs:
        label = f"output {reprlib.repr(output.name)}"
        if output.name in outputs:
            raise InvalidInputError(f"{label} is asked for twice")
        outputs[output.name] = requested(label, from_parameters(label, output.parameters), binary=True)
    return GrpcInferRequest(
        model_name=wire.model_name,
        model_version=wire.model_version,
        id=wire.id,
        inputs=dict(_inputs(wire.inputs, raw, shared)),
        outputs=outputs,
        binary_output=True,
        parameters=from_parameters("the request", wire.parameters),
    )


def encode_infer_response(
    response: InferResponse, request: InferRequest, shared: SharedMemory = NONE_SHARED
) -> list[Buffer]:
    """Write a ``ModelInferResponse`` in parts. Raise InvalidInputError where an output does not fit its memory."""
    wire = ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version, id=response.id or request.id
    )
    _to_parameters(response.parameters, wire.parameters)
    raw: list[Buffer] = []
    for name, array, wanted in asked_for(response, request):
        output = wire.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        if wanted.shared is None:
            raw.append(to_binary(array))
        else:
            _to_parameters(put(shared, wanted.shared, array), output.parameters)
            raw.append(b"")
    return [wire.SerializeToString(), *put_in(_RAW_OUTPUTS, raw)]


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


def _inputs(
    tensors: Sequence[ModelInferRequest.InferInputTensor], raw: list[memoryview], shared: SharedMemory
) -> Iterator[tuple[str, Array]]:
    seen: set[str] = set()
    left = list(reversed(raw))
    for tensor in tensors:
        label = f"input {reprlib.repr(tensor.name)}"
        if tensor.name in seen:
            raise InvalidInputError(f"{label} is given twice")
        seen.add(tensor.name)
        part = slice_of(label, from_parameters(label, tensor.parameters))
        shape = list(tensor.shape)
        if tensor.HasField("contents") and (raw or part is not None):
            raise InvalidInputError(f"{label} has contents, and its data elsewhere as well")
        if part is not None:
            yield tensor.name, from_binary(label, tensor.datatype, shape, shared.read(part))
        elif not raw:
            yield tensor.name, from_contents(label, tensor.datatype, shape, tensor.contents)
        elif left:
            yield tensor.name, from_binary(label, tensor.datatype, shape, left.pop(), align=False)
        else:
            raise InvalidInputError(f"{label} has no data: raw_input_contents has only {len(raw)} elements")
    if left:
        raise InvalidInputError(f"raw_input_contents has {len(raw)} elements, {len(left)} of them for no input")
