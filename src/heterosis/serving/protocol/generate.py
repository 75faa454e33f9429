"""The generate extension: a request and its answers as plain JSON, without the protocol's tensors.

Source: triton-inference-server/server, docs/protocol/extension_generate.md. Each input and output is a field of its own
name; a tensor of one element is that element, any other a list. ``id`` and ``parameters`` are as in other requests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heterosis.serving.protocol.messages import InferRequest, InferResponse, Parameters
from heterosis.serving.protocol.tensors import NAMES, from_json, to_json
from heterosis.terms import TensorSpec
from heterosis.terms.errors import InvalidInputError


def request_of(fields: Mapping[str, Any], specs: Sequence[TensorSpec]) -> InferRequest:
    """Make a request of fields. Raise InvalidInputError, naming the field, where one is unknown or unfit."""
    known = {spec.name: spec for spec in specs}
    inputs = {}
    for name, value in fields.items():
        if name in known:
            spec = known[name]
            shape = _shape_of(value)
            shape = [1] * (len(spec.shape) - len(shape)) + shape
            inputs[name] = from_json(f"input {name!r}", NAMES[spec.dtype], shape, msgspec.Raw(_flat(value)))
        elif name not in {"id", "parameters"}:
            raise InvalidInputError(f"unknown field {name[:80]!r}; the inputs are: {', '.join(known)}")
    try:
        parameters = msgspec.convert(fields.get("parameters", {}), dict[str, str | int | float | bool])
        return InferRequest(id=msgspec.convert(fields.get("id", ""), str), inputs=inputs, parameters=parameters)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"id or parameters are not as they should be: {error}") from None


def fields_of(response: InferResponse) -> dict[str, Any]:
    """Make fields of a response."""
    fields: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        fields["id"] = response.id
    parameters: Parameters = response.parameters
    if parameters:
        fields["parameters"] = parameters
    for name, array in response.outputs.items():
        text = to_json(f"output {name!r}", array)
        fields[name] = msgspec.Raw(text[1:-1] if array.size == 1 else text)
    return fields


def _shape_of(value: Any) -> list[int]:
    """The lengths of nested lists, along the first element of each."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _flat(value: Any) -> bytes:
    """The elements of nested lists as one list; those that are not nested alike are found out by their number."""
    found: list[Any] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(reversed(each))
        else:
            found.append(each)
    return msgspec.json.encode(found)
