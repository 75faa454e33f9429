"""The Open Inference Protocol (KServe v2) over HTTP, without the HTTP: bytes in, arrays out, and the other way round.

The gateway decodes requests and encodes responses; a client does the reverse. A body is JSON, or JSON followed by
the binary data of its tensors; then the header ``Inference-Header-Content-Length`` says where the JSON ends, and the
parameter ``binary_data_size`` of each binary tensor how much of the rest is its own, in order.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; triton-inference-server/server,
docs/protocol/extension_binary_data.md. Beyond the specification, data may be flat for a tensor of any rank (Triton).
Unknown fields are ignored, as the protocol asks. Tensors may also be in shared memory (`shared_memory`), and of an
output the largest elements may be asked for (`classification`).
"""

import functools
import reprlib
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

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
from heterosis.serving.protocol.messages import ErrorBody, InferRequest, InferResponse, Parameters, RequestedOutput
from heterosis.serving.protocol.outputs import asked_for, put, requested
from heterosis.serving.protocol.parameters import flag
from heterosis.serving.protocol.shared_memory import NONE_SHARED, SharedMemory, slice_of
from heterosis.serving.protocol.tensors import (
    Array,
    Buffer,
    datatype_of,
    from_json,
    to_binary,
    to_json,
)
from heterosis.terms.errors import HeterosisError, InvalidInputError

HEADER_LENGTH = "Inference-Header-Content-Length"
ALIGNMENT = 64
"""The JSON header is padded with spaces to a multiple of this, so that binary data after it can be used in place."""

T = TypeVar("T")


class WireTensor(msgspec.Struct, omit_defaults=True):
    """A tensor: ``data`` is its elements, or ``parameters`` say where they are."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters = {}
    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "array"})] | msgspec.UnsetType = msgspec.UNSET


class WireOutput(msgspec.Struct, omit_defaults=True):
    """An output that is asked for."""

    name: str
    parameters: Parameters = {}


class WireRequest(msgspec.Struct, omit_defaults=True):
    """The JSON of a request to infer."""

    inputs: list[WireTensor]
    id: str = ""
    parameters: Parameters = {}
    outputs: list[WireOutput] = []


class WireResponse(msgspec.Struct, omit_defaults=True):
    """The JSON of the answer to it."""

    outputs: list[WireTensor]
    model_name: str
    model_version: str = ""
    id: str = ""
    parameters: Parameters = {}


_REQUESTS, _RESPONSES = msgspec.json.Decoder(WireRequest), msgspec.json.Decoder(WireResponse)


def decode_request(
    body: Buffer, header_length: str | int | None = None, shared: SharedMemory = NONE_SHARED
) -> InferRequest:
    """Read a request. ``header_length`` is the value of the header `HEADER_LENGTH`, None without one.

    Arrays may share the memory of ``body`` and are then read-only; those in ``shared`` memory are copied. Raise
    InvalidInputError, naming the field.
    """
    return with_tensors(*read_request(body, header_length), shared)


def read_request(body: Buffer, header_length: str | int | None = None) -> tuple[Asked, Raw]:
    """Take a request apart: what is asked for, and the bytes of its binary tensors. Raise InvalidInputError."""
    head, rest = _split(body, header_length)
    binary = header_length is not None and len(head) <= REMEMBERED_BYTES
    asked = _remembered(bytes(head)) if binary else _asked(head)
    return asked, _cut("input", asked.inputs, rest)


def with_tensors(asked: Asked, raw: Raw, shared: SharedMemory = NONE_SHARED) -> InferRequest:
    """Put a request that was taken apart together, its tensors as arrays. Raise InvalidInputError."""
    return asked.request(arrays_of(asked.inputs, raw, shared, _written))


def _asked(head: Buffer) -> Asked:
    wire = _parse(head, _REQUESTS)
    binary_output = flag("the request", wire.parameters, "binary_data_output", default=False)
    outputs: dict[str, RequestedOutput] = {}
    for output in wire.outputs:
        label = f"output {reprlib.repr(output.name)}"
        put_once(outputs, output.name, label, requested(label, output.parameters, binary=binary_output))
    return Asked(
        id=wire.id,
        inputs=_sources("input", wire.inputs),
        outputs=outputs,
        binary_output=binary_output,
        parameters=wire.parameters,
    )


_remembered = functools.lru_cache(REMEMBERED)(_asked)


def encode_request(request: InferRequest, *, binary: bool = True) -> tuple[int | None, list[Buffer]]:
    """Write a request. Return the length of the JSON (None without binary data) and the parts of the body."""
    data: list[Buffer] = []
    tensors = [_tensor("input", name, array, data if binary else None) for name, array in request.inputs.items()]
    parameters = dict(request.parameters)
    if request.binary_output:
        parameters["binary_data_output"] = True
    outputs = [
        WireOutput(name=name, parameters={"binary_data": wanted.binary}) for name, wanted in request.outputs.items()
    ]
    return _join(WireRequest(id=request.id, inputs=tensors, outputs=outputs, parameters=parameters), data)


def encode_response(
    response: InferResponse, request: InferRequest, shared: SharedMemory = NONE_SHARED
) -> tuple[int | None, list[Buffer]]:
    """Write what was asked for. Return the length of the JSON (None without binary data) and the parts of the body.

    Raise InvalidInputError where the request asks for an output that is not there, for JSON where JSON has no form, or
    for more than fits the ``shared`` memory that it names.
    """
    tensors: list[WireTensor] = []
    data: list[Buffer] = []
    asked = list(asked_for(response, request))
    if not response.parameters and all(wanted.binary and wanted.shared is None for _, _, wanted in asked):
        data = [to_binary(array) for _, array, _ in asked]
        described = tuple(
            (name, datatype_of(array), array.shape, len(own)) for (name, array, _), own in zip(asked, data, strict=True)
        )
        named = response.id or request.id
        write = _binary_head if len(named) <= LONGEST_ID else _binary_head.__wrapped__
        head = write(response.model_name, response.model_version, named, described)
        return (len(head) if data else None), [head, *data]
    for name, array, wanted in asked:
        if wanted.shared is None:
            tensors.append(_tensor("output", name, array, data if wanted.binary else None))
        else:
            put(shared, wanted.shared, array)
            tensors.append(_bare(name, array, {}))  # Triton's C++ client takes any parameters for a size of binary data
    wire = WireResponse(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id or request.id,
        outputs=tensors,
        parameters=response.parameters,
    )
    return _join(wire, data)


@functools.lru_cache(REMEMBERED)
def _binary_head(
    model_name: str, model_version: str, request_id: str, outputs: tuple[tuple[str, str, tuple[int, ...], int], ...]
) -> bytes:
    """Write the JSON of an answer whose tensors (name, data type, shape, bytes) all follow it."""
    tensors = [
        WireTensor(name=name, datatype=datatype, shape=list(shape), parameters={"binary_data_size": size})
        for name, datatype, shape, size in outputs
    ]
    return _padded(WireResponse(outputs=tensors, model_name=model_name, model_version=model_version, id=request_id))


def decode_response(body: Buffer, header_length: str | int | None = None) -> InferResponse:
    """Read a response. Raise HeterosisError where it is no response of this protocol."""
    try:
        head, rest = _split(body, header_length)
        wire = _parse(head, _RESPONSES)
        sources = _sources("output", wire.outputs)
        outputs = arrays_of(sources, _cut("output", sources, rest), NONE_SHARED, _written)
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


def _parse(head: Buffer, decoder: "msgspec.json.Decoder[T]") -> T:
    try:
        return decoder.decode(head)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"the JSON does not follow the Open Inference Protocol: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInputError("the JSON is nested too deep") from None


def _sources(kind: str, tensors: Sequence[WireTensor]) -> list[Source]:
    """Find out where the data of each tensor are."""
    found: dict[str, Source] = {}
    for tensor in tensors:
        label = f"{kind} {reprlib.repr(tensor.name)}"
        if tensor.name in found:
            raise InvalidInputError(f"{label} is given twice")
        part = slice_of(label, tensor.parameters)
        size = tensor.parameters.get("binary_data_size")
        ways = (tensor.data is not msgspec.UNSET) + (size is not None) + (part is not None)
        if ways != 1:
            raise InvalidInputError(
                f"{label} has {'none' if ways == 0 else 'more than one'} of data, the parameter "
                "binary_data_size and a shared memory region"
            )
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise InvalidInputError(f"binary_data_size of {label} is {size!r}; it must be a number of bytes")
        json = tensor.data if isinstance(tensor.data, msgspec.Raw) else None
        found[tensor.name] = Source(tensor.name, label, tensor.datatype, tensor.shape, json, part, size or 0)
    return list(found.values())


def _cut(kind: str, sources: Sequence[Source], rest: memoryview) -> list[memoryview]:
    """Cut what follows the JSON into the tensors that are announced there."""
    found: list[memoryview] = []
    for source in sources:
        if source.written is None and source.part is None:
            if source.size > len(rest):
                raise InvalidInputError(
                    f"{source.label} announces {source.size} bytes of binary data, but only {len(rest)} are left in "
                    "the body"
                )
            found.append(rest[: source.size])
            rest = rest[source.size :]
    if len(rest):
        raise InvalidInputError(f"{len(rest)} bytes follow the binary data of the last {kind}")
    return found


def _written(source: Source) -> Array:
    return from_json(source.label, source.datatype, source.shape, source.written)


def _tensor(kind: str, name: str, array: Array, data: list[Buffer] | None) -> WireTensor:
    """Write a tensor: its binary form to the end of ``data``, or without one as JSON into the tensor itself."""
    if data is None:
        tensor = _bare(name, array, {})
        tensor.data = msgspec.Raw(to_json(f"{kind} {name!r}", array))
        return tensor
    data.append(to_binary(array))
    return _bare(name, array, {"binary_data_size": len(data[-1])})


def _bare(name: str, array: Array, parameters: Parameters) -> WireTensor:
    return WireTensor(name=name, datatype=datatype_of(array), shape=list(array.shape), parameters=parameters)


def _join(wire: WireRequest | WireResponse, data: list[Buffer]) -> tuple[int | None, list[Buffer]]:
    if not data:
        return None, [msgspec.json.encode(wire)]
    head = _padded(wire)
    return len(head), [head, *data]


def _padded(wire: WireRequest | WireResponse) -> bytes:
    head = msgspec.json.encode(wire)
    return head.ljust(-(-len(head) // ALIGNMENT) * ALIGNMENT)
