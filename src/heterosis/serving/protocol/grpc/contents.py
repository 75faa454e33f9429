"""Typed tensor contents (``InferTensorContents``) as arrays, without a Python object for each number.

The message is serialised again, which its library does fast, and what is then a packed field is read by numpy: floats
as they stand, whole numbers from seven bits a byte.
"""

from typing import Any

import numpy as np

from heterosis.serving.protocol.grpc.frames import take_out
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import InferTensorContents
from heterosis.serving.protocol.tensors import BYTES, DATATYPES, Array, check, objects, shaped
from heterosis.terms.errors import InvalidInputError

FIELDS: dict[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field that holds the elements of each data type. FP16 has none: it travels in raw form."""


def from_contents(label: str, datatype: str, shape: list[int], contents: InferTensorContents) -> Array:
    """Read a tensor. Raise InvalidInputError where the elements are in another field, too few, too many, or unfit."""
    check(label, datatype, shape)
    if datatype not in FIELDS:
        raise InvalidInputError(f"{label}: {datatype} has no typed contents; send it in raw_input_contents")
    name = FIELDS[datatype]
    for field, _ in contents.ListFields():
        if field.name != name:
            raise InvalidInputError(f"{label}: the contents of {datatype} are in {name}, not in {field.name}")
    if datatype == BYTES:
        return shaped(label, shape, objects(list(contents.bytes_contents)))
    number = InferTensorContents.DESCRIPTOR.fields_by_name[name].number
    _, packed = take_out(contents.SerializeToString(), number)
    return shaped(label, shape, _unpacked(label, datatype, packed[0] if packed else memoryview(b"")))


def _unpacked(label: str, datatype: str, packed: memoryview) -> Array:
    dtype = np.dtype(DATATYPES[datatype])
    if dtype.kind == "f":
        return np.frombuffer(packed, dtype.newbyteorder("<"))
    wide: Array = _varints(packed).view(np.int64 if dtype.kind == "i" else np.uint64)
    narrow = wide.astype(dtype)
    if not np.array_equal(narrow, wide):
        raise InvalidInputError(f"{label} has a number that does not fit {datatype}")
    return narrow


def _varints(packed: memoryview) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Read numbers of seven bits a byte, the least significant first; the last byte of each is below 128."""
    octets = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(octets < 128)  # noqa: PLR2004
    if len(ends) == len(octets):
        return octets.astype(np.uint64)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    bits = (octets & 127).astype(np.uint64) << (7 * places).astype(np.uint64)
    numbers: np.ndarray[Any, np.dtype[np.uint64]] = np.bitwise_or.reduceat(bits, starts)
    return numbers
