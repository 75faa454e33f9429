"""Numbers as JSON: the fast reader agrees with the careful one, and gives way to it where in doubt."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heterosis.serving.protocol.numbers import read_numbers, write_numbers

DTYPES = [np.dtype(name) for name in ("int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64")]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_what_is_written_is_read_again(dtype: "np.dtype[Any]", data: st.DataObject) -> None:
    """To the last bit, flat and nested."""
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
    finite: Any = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    array = data.draw(hnp.arrays(dtype, shapes, elements=hnp.from_dtype(dtype, **finite)))
    flat = read_numbers(memoryview(write_numbers(array)), dtype, ())
    nested = read_numbers(memoryview(msgspec.json.encode(array.tolist())), dtype, array.shape)
    assert flat is not None
    assert nested is not None
    np.testing.assert_array_equal(flat, array.ravel())
    np.testing.assert_array_equal(nested, array)


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [
        ("[1, [2], 3]", "float32", ()),
        ("[[[1], 2], [3, 4]]", "float32", (2, 2)),
        ("[[1], [2, 3, 4]]", "float32", (2, 2)),
        ("[[1, 2, 3], [4]]", "float32", (2, 2)),
        ("[1, 2, 3, 4]", "float32", (2, 2)),
        ("[1, null]", "float32", ()),
        ("[true]", "int32", ()),
        ('["1"]', "int32", ()),
        ("[1.5]", "int32", ()),
        ("[256]", "uint8", ()),
        ("[-1]", "uint64", ()),
        ("[1e39]", "float32", ()),
        ("[NaN]", "float64", ()),
        ("[1,]", "int32", ()),
        ("{}", "int32", ()),
        ("7", "int32", ()),
    ],
)
def test_what_is_not_quite_numbers_is_left_to_the_careful_reader(text: str, dtype: str, shape: tuple[int, ...]) -> None:
    """Other types, other nests, numbers that do not fit."""
    assert read_numbers(memoryview(text.encode()), np.dtype(dtype), shape) is None


def test_a_failure_leaves_nothing_behind() -> None:
    """The next text is read by the same parser."""
    for _ in range(3):
        assert read_numbers(memoryview(b"[1, nope]"), np.dtype("int32"), ()) is None
        assert read_numbers(memoryview(b"[1, 2]"), np.dtype("int32"), ()) is not None
