"""The Open Inference Protocol (KServe v2) over HTTP, without the HTTP: bytes in, arrays out, and the other way round.

The gateway decodes requests and encodes responses; a client does the reverse. A body is JSON, or JSON followed by
the binary data of its tensors; then the header ``Inference-Header-Content-Length`` says where the JSON ends, and the
parameter ``binary_data_size`` of each binary tensor how much of the rest is its own, in order.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; triton-inference-server/server,
docs/protocol/extension_binary_data.md. Beyond the specification, data may be flat for a tensor of any rank (Triton).
Unknown fields are ignored, as the protocol asks; shared memory and classification are refused, not ignored.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from heterosis.serving.protocol.messages import (
    ErrorBody,
    InferRequest,
    InferResponse,
    Parameters,
)
from heterosis.serving.protocol.tensors import (
    Array,
    Buffer,
    datatype_of,
    from_binary,
    from_json,
    to_binary,
    to_json,
)
from heterosis.terms.errors import HeterosisError, InvalidInputError

HEADER_LENGTH = "Inference-Header-Content-Length"
ALIGNMENT = 64
"""The JSON header is padded with spaces to a multiple of this, so that binary data after it can be used in place."""

T = TypeVar("T")


class _Tensor(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, str | int | float | bool] = {}
    data: msgspec.Raw = msgspec.Raw()


class _RequestedOutput(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: dict[str, str | int | float | bool] = {}


class _Request(msgspec.Struct, omit_defaults=True):
    inputs: list[_Tensor]
    id: str = ""
    parameters: dict[str, str | int | float | bool] = {}
    outputs: list[_RequestedOutput] = []


class _Response(msgspec.Struct, omit_defaults=True):
    outputs: list[_Tensor]
    model_name: str
    model_version: str = ""
    id: str = ""
    parameters: dict[str, str | int | float | bool] = {}


def decode_request(body: Buffer, header_length: str | int | None = None) -> InferRequest:
    """Read a request. ``header_length`` is the value of the header `HEADER_LENGTH`, None without one.

    Arrays may share the memory of ``body`` and are then read-only. Raise InvalidInputError, naming the field.
    """
    head, rest = _split(body, header_length)
    wire = _parse(head, _Request)
    binary_output = _flag("the request", wire.parameters, "binary_data_output", default=False)
    outputs: dict[str, bool] = {}
    for output in wire.outputs:
        label = f"output {reprlib.repr(output.name)}"
        if output.name in outputs:
            raise InvalidInputError(f"{label} is asked for twice")
        _refuse_unsupported(label, output.parameters)
        outputs[output.name] = _flag(label, output.parameters, "binary_data", default=binary_output)
    inputs = dict(_arrays("input", wire.inputs, rest))
    return InferRequest(
        id=wire.id, inputs=inputs, outputs=outputs, binary_output=binary_output, parameters=wire.parameters
    )


def encode_request(request: InferRequest, *, binary: bool = True) -> tuple[int | None, list[Buffer]]:
    """Write a request. Return the length of the JSON (None without binary data) and the parts of the body."""
    tensors, data = _tensors("input", request.inputs, dict.fromkeys(request.inputs, binary))
    parameters = dict(request.parameters)
    if request.binary_output:
        parameters["binary_data_output"] = True
    outputs = [
        _RequestedOutput(name=name, parameters={"binary_data": wanted}) for name, wanted in request.outputs.items()
    ]
    return _join(_Request(id=request.id, inputs=tensors, outputs=outputs, parameters=parameters), data)


def encode_response(response: InferResponse, request: InferRequest) -> tuple[int | None, list[Buffer]]:
    """Write what was asked for. Return the length of the JSON (None without binary data) and the parts of the body.

    Raise InvalidInputError where the request asks for an output that is not there, or for JSON where JSON has no form.
    """
    request.check_outputs(response.outputs)
    wanted = {name: response.outputs[name] for name in request.outputs} if request.outputs else response.outputs
    tensors, data = _tensors("output", wanted, {name: request.wants_binary(name) for name in wanted})
    wire = _Response(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id or request.id,
        outputs=tensors,
        parameters=dict(response.parameters),
    )
    return _join(wire, data)


def decode_response(body: Buffer, header_length: str | int | None = None) -> InferResponse:
    """Read a response. Raise HeterosisError where it is no response of this protocol."""
    try:
        head, rest = _split(body, header_length)
        wire = _parse(head, _Response)
        outputs = dict(_arrays("output", wire.outputs, rest))
    except InvalidInputError as error:
        raise HeterosisError(f"the server's answer does not follow the Open Inference Protocol: {error}") from None
    return InferResponse(
        model_name=wire.model_name,
        model_version=wire.model_version,
        id=wire.id,
        outputs=outputs,
        parameters=wire.parameters,
    )


def encode_error(message: str) -> bytes:
    """Write the body of an answer that is not a success."""
    return msgspec.json.encode(ErrorBody(message))


def decode_error(body: bytes) -> str:
    """Read the message of an answer that is not a success; where it is none of this protocol, its first words."""
    try:
        return msgspec.json.decode(body, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body[:200].decode(errors="replace").strip() or "no message"


def _split(body: Buffer, header_length: str | int | None) -> tuple[memoryview, memoryview]:
    view = memoryview(body)
    if header_length is None:
        return view, view[len(view) :]
    text = str(header_length)
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - digits of any real length
        raise InvalidInputError(f"{HEADER_LENGTH} is {text[:40]!r}; it must be the length of the JSON in bytes")
    if not 0 < int(text) <= len(view):
        raise InvalidInputError(f"{HEADER_LENGTH} is {text}; the body has {len(view)} bytes and begins with JSON")
    return view[: int(text)], view[int(text) :]


def _parse(head: memoryview, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(head, type=type_)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"the JSON does not follow the Open Inference Protocol: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInputError("the JSON is nested too deep") from None


def _arrays(kind: str, tensors: Sequence[_Tensor], rest: memoryview) -> Iterator[tuple[str, Array]]:
    """Read the tensors of a body; ``rest`` is what follows the JSON."""
    seen: set[str] = set()
    for tensor in tensors:
        label = f"{kind} {reprlib.repr(tensor.name)}"
        if tensor.name in seen:
            raise InvalidInputError(f"{label} is given twice")
        seen.add(tensor.name)
        _refuse_unsupported(label, tensor.parameters)
        size = tensor.parameters.get("binary_data_size")
        has_data = len(memoryview(tensor.data)) > 0
        if size is None:
            if not has_data:
                raise InvalidInputError(f"{label} has neither data nor the parameter binary_data_size")
            yield tensor.name, from_json(label, tensor.datatype, tensor.shape, tensor.data)
            continue
        if has_data:
            raise InvalidInputError(f"{label} has both data and the parameter binary_data_size")
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise InvalidInputError(f"binary_data_size of {label} is {size!r}; it must be a number of bytes")
        if size > len(rest):
            raise InvalidInputError(
                f"{label} announces {size} bytes of binary data, but only {len(rest)} are left in the body"
            )
        yield tensor.name, from_binary(label, tensor.datatype, tensor.shape, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise InvalidInputError(f"{len(rest)} bytes follow the binary data of the last {kind}")


def _tensors(kind: str, arrays: Mapping[str, Array], binary: Mapping[str, bool]) -> tuple[list[_Tensor], list[Buffer]]:
    tensors: list[_Tensor] = []
    data: list[Buffer] = []
    for name, array in arrays.items():
        tensor = _Tensor(name=name, datatype=datatype_of(array), shape=list(array.shape))
        if binary[name]:
            data.append(to_binary(array))
            tensor.parameters = {"binary_data_size": len(data[-1])}
        else:
            tensor.data = msgspec.Raw(msgspec.json.encode(to_json(f"{kind} {name!r}", array)))
        tensors.append(tensor)
    return tensors, data


def _join(wire: _Request | _Response, data: list[Buffer]) -> tuple[int | None, list[Buffer]]:
    head = msgspec.json.encode(wire)
    if not data:
        return None, [head]
    head = head.ljust(-(-len(head) // ALIGNMENT) * ALIGNMENT)
    return len(head), [head, *data]


def _flag(label: str, parameters: Parameters, name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"parameter {name!r} of {label} is {value!r}; it must be true or false")
    return value


def _refuse_unsupported(label: str, parameters: Parameters) -> None:
    if "shared_memory_region" in parameters:
        raise InvalidInputError(f"{label} asks for shared memory, which is not supported; send binary data instead")
    if parameters.get("classification"):
        raise InvalidInputError(f"{label} asks for classification, which is not supported; leave the parameter out")
