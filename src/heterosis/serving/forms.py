"""Values that are arrays of numbers, or few levels of tuples, lists and dicts of such: what they are apart from bytes.

Nearly all that travels is of this kind, and from call to call only the bytes differ. So what the rest comes to, the
*form* of a value, is written as a header of its own kind, and each header is written and read but once.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

Array = np.ndarray[Any, Any]

CODE = 5
"""Of the MessagePack extension that a header of this kind is."""
REMEMBERED, REMEMBERED_BYTES = 1024, 512
"""How many headers, up to how long, are remembered."""
MAX_DEPTH = 4
_NUMBERS = frozenset("?bhilqBHILQefd")
"""Data types of which memory can be looked at as bytes without more ado; a longer road leads there for others."""
_CODE = bytes([CODE])
_CODE_AT = {0xC7: 2, 0xC8: 3, 0xC9: 5, **dict.fromkeys(range(0xD4, 0xD9), 1)}
"""Where the code of an extension stands, by its first byte."""
_ARRAY, _TUPLE, _LIST, _DICT = range(4)
_KINDS: dict[type[Any], int] = {tuple: _TUPLE, list: _LIST, dict: _DICT}

Form = tuple[Any, ...]
"""``(_ARRAY, data type, shape)``, or ``(kind, keys, forms)``; only a dict has keys."""


def header_of(value: Any, arrays: list[Array]) -> bytes | None:
    """Write the form of a value, and add its arrays to the list; None where it is of no such kind."""
    if type(value) is dict:  # as results of models are
        signature: list[Any] = []
        for name, array in value.items():
            if type(array) is not np.ndarray:
                break
            arrays.append(array)
            signature += (name, array.dtype, array.shape)
        else:
            return _header_of_dict(tuple(signature))
        arrays.clear()
    form = _form_of(value, arrays)
    return None if form is None else _header_of(form)


@functools.lru_cache(REMEMBERED)
def _header_of_dict(signature: tuple[Any, ...]) -> bytes | None:
    """Write the form of a dict of arrays; for each of them there are its name, data type and shape."""
    names, shapes = signature[::3], tuple(zip(signature[1::3], signature[2::3], strict=True))
    if not {str}.issuperset(map(type, names)) or not all(itertools.starmap(_is_sound, shapes)):
        return None
    return _header_of((_DICT, names, tuple((_ARRAY, dtype, shape) for dtype, shape in shapes)))


def _is_sound(dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> bool:
    """Whether an array is of a data type that is passed on here, and of more than nothing."""
    return dtype.char in _NUMBERS and dtype.isnative and len(shape) > 0 and 0 not in shape


def _form_of(value: Any, arrays: list[Array], depth: int = 0) -> Form | None:
    """Return the form of a value, and add its arrays to the list; None where it is of no such kind."""
    if type(value) is np.ndarray:
        if not _is_sound(value.dtype, value.shape):
            return None
        arrays.append(value)
        return (_ARRAY, value.dtype, value.shape)
    kind = _KINDS.get(type(value))
    if kind is None or depth == MAX_DEPTH:
        return None
    keys: tuple[str, ...] = ()
    if kind == _DICT:
        keys = tuple(value)
        if not set(map(type, keys)) <= {str}:
            return None
        value = value.values()
    forms = []
    for each in value:
        form = _form_of(each, arrays, depth + 1)
        if form is None:
            return None
        forms.append(form)
    return (kind, keys, tuple(forms))


@functools.lru_cache(REMEMBERED)
def _header_of(form: Form) -> bytes:
    """Write a form."""
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(CODE, msgspec.msgpack.encode(_written(form))))


class Header(NamedTuple):
    """A header that was read."""

    form: Form
    steps: Sequence[Form]
    """How a value is put together: arrays are laid down as they come, and each container takes those of its parts up.

    ``(_ARRAY, data type, shape, bytes)``, or ``(kind, keys, None, number of parts)``.
    """
    arrays: int
    """How many arrays there are in it."""


def read_header(header: bytes | bytearray | memoryview) -> Header | None:
    """Read a form; None for a header of another kind. Raise ValueError or TypeError for one that is malformed."""
    at = _CODE_AT.get(header[0]) if len(header) > 1 else None
    if at is None or header[at : at + 1] != _CODE:
        return None
    return _remembered(bytes(header)) if len(header) <= REMEMBERED_BYTES else _read_header(bytes(header))


def arrays_in(header: bytes | bytearray | memoryview) -> dict[str, tuple[int, "np.dtype[Any]"]] | None:
    """Of a value that is a dict of arrays: for each, its place among the frames, and its data type; None of another."""
    read = read_header(header)
    if read is None or read.form[0] != _DICT or any(each[0] != _ARRAY for each in read.form[2]):
        return None
    _, names, forms = read.form
    return {name: (place, each[1]) for place, (name, each) in enumerate(zip(names, forms, strict=True))}


def value_of(header: Header, frames: Sequence[bytes | bytearray | memoryview], *, copy: bool) -> Any:
    """Put a value together; the arrays are views of the frames, or with ``copy`` stand alone and are writable.

    Raise ValueError where the frames are not those that the form wants.
    """
    if len(frames) != header.arrays:
        raise ValueError(f"{len(frames)} arrays came, and the header names {header.arrays}")
    left = iter(frames)
    made: list[Any] = []
    for kind, what, shape, length in header.steps:
        if kind == _ARRAY:
            frame = next(left)
            if len(frame) != length:
                raise ValueError(f"an array of {what} and shape {list(shape)} cannot have {len(frame)} bytes")
            array: Array = np.ndarray(shape, what, frame)
            # A view at an odd address would be slow, and engines may refuse it.
            if copy or not array.flags.aligned:
                array = array.copy()
            array.setflags(write=copy)
            made.append(array)
            continue
        begin = len(made) - length
        parts = made[begin:]
        del made[begin:]
        if kind == _DICT:
            made.append(dict(zip(what, parts, strict=True)))
        else:
            made.append(tuple(parts) if kind == _TUPLE else parts)
    return made[0]


def _written(form: Form) -> list[Any]:
    if form[0] == _ARRAY:
        return [_ARRAY, form[1].str, form[2]]
    kind, keys, forms = form
    return [kind, keys, [_written(each) for each in forms]]


def _read_header(header: bytes) -> Header:
    content = msgspec.msgpack.decode(header, type=msgspec.msgpack.Ext)
    steps: list[Form] = []
    form = _read(msgspec.msgpack.decode(content.data), steps, 0)
    return Header(form, steps, sum(kind == _ARRAY for kind, *_ in steps))


_remembered = functools.lru_cache(REMEMBERED)(_read_header)


def _read(written: Any, steps: list[Form], depth: int) -> Form:
    """Read a form, and add the steps to make a value of it."""
    kind, second, third = written
    if kind == _ARRAY:
        dtype, shape = np.dtype(str(second)), tuple(third)
        if dtype.char not in _NUMBERS or not all(type(side) is int and side > 0 for side in shape):
            raise ValueError(f"{second!r} and {third!r} are no array of numbers")
        steps.append((_ARRAY, dtype, shape, math.prod(shape) * dtype.itemsize))
        return (_ARRAY, dtype, shape)
    if depth == MAX_DEPTH or kind not in {_TUPLE, _LIST, _DICT} or not {str}.issuperset(map(type, second)):
        raise ValueError("a header of a form that there is not")
    forms = tuple(_read(each, steps, depth + 1) for each in third)
    if kind == _DICT and len(second) != len(forms):
        raise ValueError("a header with more keys than values, or fewer")
    steps.append((kind, tuple(second), None, len(forms)))
    return (kind, tuple(second), forms)
