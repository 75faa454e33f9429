"""Values on their way between processes: a MessagePack header, and the bytes of each large array as a buffer.

Values that are arrays and little else have headers of their own kind (`forms`).

What may travel: None, bool, int (64 bits), float, str, bytes, numpy arrays and scalars of any data type (of objects
only where all are str or bytes), and lists, tuples and dicts of these. Subclasses arrive as the plain type (a named
tuple as a tuple). Nothing is pickled, and nothing received is trusted: an array is made only where its data type, shape
and length of bytes agree.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from heterosis.serving.forms import header_of, read_header, value_of
from heterosis.terms.errors import HeterosisError

Buffer = bytes | bytearray | memoryview

INLINE_BYTES = 1024
"""Arrays up to this size travel inside the header: a frame of their own would cost more than the copy."""

MAX_DEPTH = 64

_LARGE, _SMALL, _SCALAR, _TUPLE, _TEXT = range(5)  # codes of our MessagePack extensions
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_SUBCLASSES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: bytes.__bytes__,
}
_DTYPE = re.compile(r"[<>|=][?bBiufcSUVmM]\d+(\[[0-9A-Za-z/]+\])?|[<>|=][mM]8")


class EncodeError(HeterosisError):
    """A value that cannot travel; the message says where in the value the trouble lies."""


class DecodeError(HeterosisError):
    """Frames that do not make a value: the sender is broken, or is none of ours."""


def encode(value: Any) -> list[bytes | memoryview]:
    """Return the header of a value, followed by the bytes of each large array.

    Buffers are views of C-contiguous arrays (other layouts are copied once): leave these arrays alone until the buffers
    are sent. Raise EncodeError where the value holds anything that cannot travel.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    try:
        header = header_of(value, arrays)
        if header is not None:
            frames: list[bytes | memoryview] = [header]
            for array in arrays:
                if array.nbytes <= INLINE_BYTES:
                    frames.append(array.tobytes())  # sooner done than a view
                else:
                    frames.append(np.ascontiguousarray(array).data.cast("B"))
            return frames
        writer = _Writer()
        return [msgspec.msgpack.encode(writer.pack(value, "value")), *writer.buffers]
    except (OverflowError, UnicodeEncodeError, ValueError) as error:
        raise EncodeError(f"cannot send the value: {error}") from error


def decode(frames: Sequence[Buffer], *, copy: bool = False) -> Any:
    """Return the value that `encode` made these frames of.

    Large arrays are read-only views of their frames; with ``copy``, every array is writable and stands alone. Raise
    DecodeError for frames that are malformed in any way.
    """
    if not frames:
        raise DecodeError("malformed value: no header frame")
    try:
        header = read_header(frames[0])
        if header is not None:
            return value_of(header, frames[1:], copy=copy)
        reader = _Reader(iter(frames[1:]), copy=copy)
        value = reader.read(frames[0])
    except DecodeError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise DecodeError(f"malformed value: {error}") from error
    surplus = sum(1 for _ in reader.frames)
    if surplus:
        raise DecodeError(f"malformed value: the header names {len(frames) - 1 - surplus} arrays, {surplus} more came")
    return value


class _Writer:
    """Packs one value for MessagePack, depth first: arrays are met in the same order when it is decoded."""

    def __init__(self) -> None:
        self.buffers: list[bytes | memoryview] = []

    def pack(self, value: Any, where: str, depth: int = 0) -> Any:
        """Replace what MessagePack does not know; ``where`` is the place of the value in the whole."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if depth > MAX_DEPTH:
            raise EncodeError(f"cannot send {where[:80]}…: nested deeper than {MAX_DEPTH} (does it contain itself?)")
        if isinstance(value, dict):
            return {
                self._key(key, where): self.pack(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            items = list(value)
            if not _PLAIN.issuperset(map(type, items)):
                items = [self.pack(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(items)]
            return _extension(_TUPLE, items) if isinstance(value, tuple) else items
        return self._leaf(value, where)

    def _leaf(self, value: Any, where: str) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        for plain, convert in _SUBCLASSES.items():
            if isinstance(value, plain) and not isinstance(value, np.inexact):
                return convert(value)
        if isinstance(value, np.generic):
            array = np.asarray(value)
            return _extension(_SCALAR, (_describe(array.dtype, where), array.tobytes()))
        kind = type(value)
        raise EncodeError(
            f"cannot send {where}: it is a {kind.__module__}.{kind.__qualname__}; stages exchange numpy arrays, str, "
            "bytes, int, float, bool, None, and lists, tuples and dicts of these"
        )

    def _key(self, key: Any, where: str) -> Any:
        plain = key.item() if isinstance(key, np.generic) else key
        if type(plain) not in _PLAIN:
            raise EncodeError(f"cannot send {where}: its key {key!r} is a {type(key).__name__}; use a string or number")
        return plain

    def _array(self, array: "np.ndarray[Any, Any]", where: str) -> msgspec.msgpack.Ext:
        if isinstance(array, np.ma.MaskedArray):
            raise EncodeError(f"cannot send {where}: it is a masked array; send its data and its mask apart")
        if array.dtype == object and {str, bytes}.issuperset(map(type, items := array.reshape(-1).tolist())):
            return _extension(_TEXT, (array.shape, items))
        described = _describe(array.dtype, where)
        if array.nbytes <= INLINE_BYTES:
            return _extension(_SMALL, (described, array.shape, array.tobytes()))
        self.buffers.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return _extension(_LARGE, (described, array.shape))


def _extension(code: int, content: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, msgspec.msgpack.encode(content))


def _describe(dtype: "np.dtype[Any]", where: str) -> Any:
    """Describe a data type as a .npy file does: a string, or a list of fields."""
    if dtype.hasobject:
        raise EncodeError(
            f"cannot send {where}: an array of data type {dtype} holds Python objects other than str and bytes; "
            "convert it first"
        )
    described = _description(dtype)
    if described is None:
        raise EncodeError(f"cannot send {where}: data type {dtype} is not one of numpy's own; convert it first")
    return described


@functools.lru_cache(256)
def _description(dtype: "np.dtype[Any]") -> Any:
    described = np.lib.format.dtype_to_descr(dtype)
    return described if np.lib.format.descr_to_dtype(described) == dtype else None


def _dtype(described: Any) -> "np.dtype[Any]":
    if isinstance(described, str):
        return _named_dtype(described)
    return _sound(np.lib.format.descr_to_dtype(_checked(described)))


@functools.lru_cache(256)
def _named_dtype(name: str) -> "np.dtype[Any]":
    return _sound(np.dtype(_checked(name)))


def _sound(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    if not dtype.itemsize:
        raise DecodeError(f"malformed value: data type {dtype} has no bytes")
    return dtype


def _checked(described: Any) -> Any:
    """Let pass only plain names of data types, and lists of fields of these."""
    if isinstance(described, str) and _DTYPE.fullmatch(described):
        return described
    if not isinstance(described, (list, tuple)) or not described:  # no name, and no fields
        raise DecodeError(f"malformed value: {described!r} is no data type")
    fields = []
    for name, inner, *shape in described:
        title = tuple(name) if isinstance(name, (list, tuple)) else name
        fields.append((title, _checked(inner), *(tuple(lengths) for lengths in shape)))
    return fields


# Made once: what a type means takes msgspec longer to find out than a value of it takes to read.
_SCALAR_BODY = msgspec.msgpack.Decoder(tuple[Any, bytes])
_SMALL_BODY = msgspec.msgpack.Decoder(tuple[Any, tuple[int, ...], bytes])
_TEXT_BODY = msgspec.msgpack.Decoder(tuple[tuple[int, ...], list[Any]])
_LARGE_BODY = msgspec.msgpack.Decoder(tuple[Any, tuple[int, ...]])


class _Reader:
    """Decodes one header, taking a frame for each large array that it names."""

    def __init__(self, frames: Iterator[Buffer], *, copy: bool) -> None:
        self.frames = frames
        self._copy = copy
        self._depth = 0

    def read(self, header: Buffer) -> Any:
        return msgspec.msgpack.decode(header, ext_hook=self._extension)

    def _extension(self, code: int, data: memoryview) -> Any:
        if code == _TUPLE:
            return self._tuple(data)
        if code == _SCALAR:
            described, raw = _SCALAR_BODY.decode(data)
            return self._array(described, (), raw)[()]
        if code == _SMALL:
            return self._array(*_SMALL_BODY.decode(data))
        if code == _TEXT:
            shape, items = _TEXT_BODY.decode(data)
            if not {str, bytes}.issuperset(map(type, items)):
                raise DecodeError("malformed value: text that is neither str nor bytes")
            if any(side < 0 for side in shape) or math.prod(shape) != len(items):
                raise DecodeError(f"malformed value: text of shape {list(shape)} cannot have {len(items)} elements")
            text = np.empty(len(items), object)
            text[:] = items
            return text.reshape(shape)
        if code == _LARGE:
            described, shape = _LARGE_BODY.decode(data)
            frame = next(self.frames, None)
            if frame is None:
                raise DecodeError("malformed value: the header names more arrays than there are frames")
            return self._array(described, shape, frame)
        raise DecodeError(f"malformed value: unknown extension {code}")

    def _tuple(self, data: memoryview) -> tuple[Any, ...]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DecodeError(f"malformed value: nested deeper than {MAX_DEPTH}")
        items = self.read(data)
        if not isinstance(items, list):
            raise DecodeError("malformed value: a tuple that is no list")
        self._depth -= 1
        return tuple(items)

    def _array(self, described: Any, shape: tuple[int, ...], raw: Buffer) -> "np.ndarray[Any, Any]":
        dtype = _dtype(described)
        length = memoryview(raw).nbytes
        if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != length:
            raise DecodeError(
                f"malformed value: an array of {dtype} and shape {list(shape)} cannot have {length} bytes"
            )
        array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, buffer=raw)
        # A view at an odd address would be slow, and engines may refuse it.
        if self._copy or not array.flags.aligned:
            array = array.copy()
        array.flags.writeable = self._copy
        return array
