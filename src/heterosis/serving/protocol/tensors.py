"""Tensors of the Open Inference Protocol: the names of their data types, their JSON form and their binary form.

The JSON form is an array, flat in row-major order or nested like the tensor. The binary form is the little-endian bytes
of the elements in row-major order; of BYTES elements, each after its length as four bytes (Triton's "binary tensor data
extension"). In Python a BYTES tensor is an object array of ``bytes``.

Sizes are checked against the bytes that are really there before anything is allocated: no shape, however absurd, costs
more memory than the body that came with it.
"""

import functools
import math
import reprlib
import struct
from collections.abc import Sequence
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from heterosis.serving.protocol.numbers import read_numbers, write_numbers
from heterosis.terms.errors import InvalidInputError

Array = np.ndarray[Any, Any]
Buffer = bytes | memoryview

BYTES = "BYTES"
BF16 = "BF16"
"""Has no name in numpy: such an input, in binary form, is widened to FP32, of which it is the upper half."""

DATATYPES: dict[str, str] = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    BYTES: "bytes",
}
"""The protocol's name of a data type -> the name that `heterosis.terms.TensorSpec` uses."""

NAMES: dict[str, str] = {dtype: datatype for datatype, dtype in DATATYPES.items()}
"""The other way round."""

MAX_RANK = 16
MAX_ELEMENTS = 2**31 - 1
_LENGTH = struct.Struct("<I")
_JSON_TYPES: dict[str, Any] = {"b": bool, "u": int, "i": int, "f": float, "O": str}


def datatype_of(array: Array) -> str:
    """Name the data type of an array as the protocol does. Raise InvalidInputError where the protocol has no name."""
    return _datatype_of(array.dtype)


@functools.lru_cache(256)
def _datatype_of(dtype: "np.dtype[Any]") -> str:
    if dtype.kind in "OSU":
        return BYTES
    try:
        return NAMES[dtype.name]
    except KeyError:
        raise InvalidInputError(
            f"an array of data type {dtype} cannot be sent; convert it to one of: {', '.join(NAMES)}"
        ) from None


def check(label: str, datatype: str, shape: Sequence[int]) -> int:
    """Refuse an unknown data type and an absurd shape; return the number of elements. ``label`` names the tensor."""
    return _checked(label, datatype, tuple(shape))


@functools.lru_cache(1024)
def _checked(label: str, datatype: str, shape: tuple[int, ...]) -> int:
    if datatype not in DATATYPES and datatype != BF16:
        raise InvalidInputError(
            f"{label} has the unknown datatype {reprlib.repr(datatype)}; known: {', '.join(DATATYPES)}, {BF16}"
        )
    if len(shape) > MAX_RANK:
        raise InvalidInputError(f"{label} has {len(shape)} dimensions; at most {MAX_RANK} are taken")
    if min(shape, default=0) < 0:
        raise InvalidInputError(f"{label} has the shape {list(shape)}; a length cannot be negative")
    if math.prod(length or 1 for length in shape) > MAX_ELEMENTS:
        raise InvalidInputError(f"{label} has the shape {list(shape)}; at most {MAX_ELEMENTS} elements are taken")
    return math.prod(shape)


def from_json(label: str, datatype: str, shape: Sequence[int], data: msgspec.Raw) -> Array:
    """Read the JSON form. Raise InvalidInputError where an element has the wrong type or count, or does not fit."""
    check(label, datatype, shape)
    if datatype == BF16:
        raise InvalidInputError(f"{label}: {BF16} has no JSON form; send it in binary form, or FP32")
    dtype = _dtype(datatype)
    head = bytes(memoryview(data)[:64]).split(b"[", 2)
    nested = len(shape) > 1 and len(head) > 2 and not head[0].strip() and not head[1].strip()  # noqa: PLR2004
    array = read_numbers(memoryview(data), dtype, shape if nested else shape[:0]) if dtype.kind in "iuf" else None
    if array is None:
        array = _read_elements(label, datatype, len(shape) if nested else 1, data)
    if nested and array.shape != tuple(shape):
        raise InvalidInputError(f"data of {label} has the shape {list(array.shape)}, not {list(shape)} as stated")
    if datatype == BYTES:
        array = objects([text.encode() for text in array.ravel()])
    return shaped(label, shape, array)


def _read_elements(label: str, datatype: str, depth: int, data: msgspec.Raw) -> Array:
    """Read lists, nested so deep, one element at a time: this knows what is wrong with them."""
    dtype = _dtype(datatype)
    try:
        values = _json_decoder(dtype.kind, depth).decode(data)
        with np.errstate(over="raise"):  # a number past the range of FP16 or FP32 shall not turn into infinity
            array = np.array(values, dtype=dtype)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"data of {label} ({datatype}): {error}") from None
    except (OverflowError, FloatingPointError) as error:
        raise InvalidInputError(f"data of {label} has a number that does not fit {datatype}: {error}") from None
    except ValueError:
        raise InvalidInputError(f"data of {label} is nested, but not like its shape") from None
    return array


def shaped(label: str, shape: Sequence[int], array: Array) -> Array:
    """Give elements, in row-major order, their shape. Raise InvalidInputError where it needs more or less of them."""
    if array.size != math.prod(shape):
        raise InvalidInputError(
            f"data of {label} has {array.size} elements; the shape {list(shape)} needs {math.prod(shape)}"
        )
    return array.reshape(shape)


def from_binary(label: str, datatype: str, shape: Sequence[int], data: memoryview, *, align: bool = True) -> Array:
    """Read the binary form; the array is read-only, and shares the memory of ``data``.

    Except where that is not aligned, as engines want it, and to ``align`` is asked for: then it is copied.
    """
    count = check(label, datatype, shape)
    if datatype == BYTES:
        return objects(_elements(label, count, data)).reshape(shape)
    if datatype == BF16:
        halves = from_binary(label, "UINT16", shape, data)
        return (halves.astype("<u4") << 16).view("<f4")
    dtype = _dtype(datatype)
    if len(data) != count * dtype.itemsize:
        raise InvalidInputError(
            f"{label} has {len(data)} bytes of binary data; {datatype} of the shape {list(shape)} "
            f"needs {count * dtype.itemsize}"
        )
    array: Array = np.ndarray(shape, dtype, data)
    if align and not array.flags.aligned:
        array = np.ndarray(shape, dtype, bytes(data))
    if datatype == "BOOL" and count and int(array.view(np.uint8).max()) > 1:
        raise InvalidInputError(f"binary data of {label} has a byte other than 0 and 1, which is no BOOL")
    return array


def to_json(label: str, array: Array) -> bytes:
    """Write the JSON form, flat. Raise InvalidInputError where JSON has no form for an element."""
    if array.dtype.kind in "OSU":
        try:
            return msgspec.json.encode([element.decode() for element in _as_bytes(array)])
        except UnicodeDecodeError:
            raise InvalidInputError(f"{label} holds bytes that are not UTF-8 text; ask for it in binary form") from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidInputError(f"{label} holds NaN or infinity, for which JSON has no form; ask for it in binary form")
    return write_numbers(array)


def to_binary(array: Array) -> Buffer:
    """Write the binary form, sharing the memory of ``array`` where its layout allows."""
    if array.dtype.kind in "OSU":
        parts: list[bytes] = []
        for element in _as_bytes(array):
            parts += (_LENGTH.pack(len(element)), element)
        return b"".join(parts)
    array = np.ascontiguousarray(array, dtype=_little(array.dtype))
    return array.data.cast("B") if array.size else b""


@functools.lru_cache(256)
def _little(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    return dtype.newbyteorder("<")


@functools.cache
def _dtype(datatype: str) -> "np.dtype[Any]":
    return np.dtype(object) if datatype == BYTES else np.dtype(DATATYPES[datatype]).newbyteorder("<")


@functools.cache
def _json_decoder(kind: str, depth: int) -> "msgspec.json.Decoder[Any]":
    """A parser of lists, nested so deep, of exactly the type that JSON has for a kind of data type."""
    type_: Any = _JSON_TYPES[kind]
    for _ in range(depth):
        type_ = GenericAlias(list, (type_,))
    return msgspec.json.Decoder(type_)


def objects(elements: list[bytes]) -> Array:
    """Make a BYTES tensor of one axis."""
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def _elements(label: str, count: int, data: memoryview) -> list[bytes]:
    """Cut binary data into its elements."""
    elements: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + _LENGTH.size
        if start > len(data):
            raise InvalidInputError(f"binary data of {label} ends within the length of element {len(elements)}")
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > len(data):
            raise InvalidInputError(
                f"binary data of {label} ends within element {len(elements)}: "
                f"{position - start} bytes are announced, {len(data) - start} are there"
            )
        elements.append(bytes(data[start:position]))
    if len(elements) != count:
        raise InvalidInputError(f"binary data of {label} has {len(elements)} elements; its shape needs {count}")
    return elements


def _as_bytes(array: Array) -> list[bytes]:
    found: list[bytes] = []
    for element in array.ravel().tolist():
        if not isinstance(element, str | bytes):
            raise InvalidInputError(f"an object array to send holds a {type(element).__name__}; it takes bytes and str")
        found.append(element.encode() if isinstance(element, str) else element)
    return found
