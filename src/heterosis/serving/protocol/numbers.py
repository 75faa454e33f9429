"""Arrays of numbers as JSON text, and back, without a Python object for each number."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import orjson
import simdjson

Array = np.ndarray[Any, Any]

_KINDS: dict[str, tuple[Literal["d", "i", "u"], Any]] = {
    "f": ("d", np.float64),
    "i": ("i", np.int64),
    "u": ("u", np.uint64),
}
_BRACKET = ord("[")
_KEPT_BYTES = 4 << 20
"""A parser keeps several times the memory of the longest text that it has read."""

_parsers: list[Any] = []


def write_numbers(array: Array) -> bytes:
    """Write an array, flat; floats with as few digits as tell them from others of their precision."""
    flat = np.ascontiguousarray(array.ravel(), dtype=array.dtype.newbyteorder("="))
    return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)


def read_numbers(text: memoryview, dtype: "np.dtype[Any]", nested: Sequence[int]) -> Array | None:
    """Read a list of numbers, or lists of lists of the shape ``nested``; None where they are not quite that.

    Then a slower reader has to find out whether they can be read after all, and what is wrong with them if not.
    """
    kind, wide = _KINDS[dtype.kind]
    parser = _parsers.pop() if _parsers else simdjson.Parser()
    try:
        lists: Any = parser.parse(text)
        if _brackets(text) != _lists_in(nested) or not _is_shaped(lists, nested):
            return None
        numbers = np.frombuffer(lists.as_buffer(of_type=kind), wide)
        with np.errstate(over="raise"):
            array = numbers.astype(dtype)
    except (ValueError, TypeError, AttributeError, FloatingPointError, RuntimeError):
        return None
    finally:
        lists = None  # a parser is free when nothing that it has read is left
        if len(text) <= _KEPT_BYTES:
            _parsers.append(parser)
    if dtype.kind != "f" and not np.array_equal(array, numbers):
        return None
    return array.reshape(nested) if nested else array


def _brackets(text: memoryview) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _BRACKET))


def _lists_in(nested: Sequence[int]) -> int:
    """How many lists there are in a nest of this shape; with no shape, one."""
    count = level = 1
    for length in nested[:-1]:
        level *= length
        count += level
    return count


def _is_shaped(lists: Any, nested: Sequence[int]) -> bool:
    if len(nested) < 2:  # noqa: PLR2004 - brackets and numbers have been counted
        return not nested or len(lists) == nested[0]
    return len(lists) == nested[0] and all(_is_shaped(each, nested[1:]) for each in lists)
