"""Values that are arrays and little else."""

from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.forms import CODE, header_of
from heterosis.serving.values import DecodeError, EncodeError, decode, encode

TENSORS = ({"x": np.arange(6, dtype=np.float32).reshape(2, 3)}, [np.ones(4, np.int8)])


def test_values_alike_share_a_header() -> None:
    """It is made once for all values that differ in their bytes alone."""
    one, other = encode(TENSORS), encode(({"x": np.zeros((2, 3), np.float32)}, [np.zeros(4, np.int8)]))
    assert one[0] is other[0]
    assert [len(frame) for frame in one[1:]] == [24, 4]


@pytest.mark.parametrize("copy", [False, True])
def test_they_come_back_as_they_were(*, copy: bool) -> None:
    """Containers, keys, data types and shapes; writable only where they stand alone."""
    named, (number,) = decode(encode(TENSORS), copy=copy)
    assert isinstance(named, dict)
    np.testing.assert_array_equal(named["x"], TENSORS[0]["x"])
    assert (number.dtype, number.shape, number.flags.writeable) == (np.int8, (4,), copy)


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.0),
        np.ones((), np.float32),
        np.ones((0, 3), np.float32),
        np.ones(3, ">f4"),
        np.array(["text"]),
        {1: np.ones(3)},
        {"x": np.ones(3), "y": np.ones(3, ">f4")},
        {"x": np.ones((2, 0))},
        (np.ones(3), "text"),
        [[[[[np.ones(3)]]]]],
    ],
)
def test_what_is_anything_else_has_no_form(value: Any) -> None:
    """It travels the longer way."""
    assert header_of(value, []) is None
    encode(value)


def test_a_key_that_is_no_text_cannot_travel() -> None:
    """Half a character, say."""
    with pytest.raises(EncodeError):
        encode({"\ud800": np.ones(3)})


def test_frames_have_to_be_those_of_the_form() -> None:
    """As many, each as long as it says."""
    header, *rest = encode(TENSORS)
    for frames in ([], rest[:1], [*rest, b""], [rest[0], b"123"], rest[::-1]):
        with pytest.raises(DecodeError):
            decode([header, *frames])


WRITTEN = st.recursive(
    st.none() | st.integers(-2, 5) | st.text(max_size=3) | st.sampled_from(["<f4", "|O", "f4,f8"]),
    lambda inner: st.lists(inner, max_size=3),
)


@given(WRITTEN)
def test_a_header_that_nobody_wrote_is_refused(written: Any) -> None:
    """Or it makes a value of what came; it is never another error."""
    header = msgspec.msgpack.encode(msgspec.msgpack.Ext(CODE, msgspec.msgpack.encode(written)))
    with suppress(DecodeError):
        decode([header, b"1234"])


def test_long_headers_are_read_like_any() -> None:
    """Though they are not remembered."""
    value = {f"tensor {number}": np.full(3, number) for number in range(200)}
    assert len(header_of(value, []) or b"") > 512
    assert decode(encode(value)).keys() == value.keys()
