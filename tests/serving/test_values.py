"""Values between processes."""

from contextlib import suppress
from enum import Enum
from typing import Any, NamedTuple

import hypothesis.extra.numpy as hnp
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.values import INLINE_BYTES, MAX_DEPTH, DecodeError, EncodeError, decode, encode

dtypes = st.one_of(
    hnp.scalar_dtypes(),
    hnp.byte_string_dtypes(min_len=1),
    hnp.unicode_string_dtypes(min_len=1),
    hnp.array_dtypes(hnp.scalar_dtypes(), max_size=3),
).filter(lambda dtype: dtype.itemsize > 0 and dtype.subdtype is None)
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=7)))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(),
    st.binary(),
    hnp.scalar_dtypes().flatmap(hnp.from_dtype),
)
values = st.recursive(
    scalars | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text() | st.integers(-5, 5), inner, max_size=4),
    ),
    max_leaves=8,
)


def same(left: Any, right: Any) -> bool:
    """Whether two values are alike in type, data type, shape and content, bit by bit."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray | np.generic):
        return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return repr(left) == repr(right)


@given(values, st.booleans())
def test_round_trip(value: Any, copy: bool) -> None:  # noqa: FBT001
    """What is decoded is what was encoded: types, data types, shapes and every bit."""
    frames = [bytes(frame) for frame in encode(value)]
    assert same(decode(frames, copy=copy), value)


@given(values, st.randoms(use_true_random=False))
def test_damaged_frames_never_crash(value: Any, random: Any) -> None:
    """Frames cut, grown, flipped, lost or doubled give a value or a DecodeError, nothing else."""
    frames = [bytearray(frame) for frame in encode(value)]
    victim = random.randrange(len(frames))
    frame = frames[victim]
    match random.randrange(5):
        case 0:
            del frame[random.randrange(len(frame) + 1) :]
        case 1:
            frame += random.randbytes(random.randrange(1, 9))
        case 2 if frame:
            frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)
        case 3:
            del frames[victim]
        case _:
            frames.insert(victim, frame)
    with suppress(DecodeError):
        decode(frames)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_noise_never_crashes(frames: list[bytes]) -> None:
    """Random bytes give a value or a DecodeError."""
    with suppress(DecodeError):
        decode(frames)


def test_large_arrays_are_not_copied() -> None:
    """A large array is sent from, and read in, the memory where it lies."""
    array = np.arange(INLINE_BYTES, dtype=np.float64).reshape(2, -1)
    header, body = encode({"image": array})
    assert np.shares_memory(np.frombuffer(body, np.uint8), array)
    back = decode([header, body])["image"]
    assert np.shares_memory(back, array)
    assert not back.flags.writeable
    copied = decode([header, body], copy=True)["image"]
    assert not np.shares_memory(copied, array)
    assert copied.flags.writeable


@pytest.mark.parametrize("size", [4, 4 * INLINE_BYTES])
def test_any_layout(size: int) -> None:
    """Transposed, reversed, strided and broadcast arrays, and foreign byte orders, arrive with the same content."""
    array = np.arange(2 * size, dtype=">i4").reshape(2, size)
    for view in (
        array.T,
        array[:, ::-1],
        array[:, ::2],
        np.broadcast_to(array[:, :1], (2, size)),
        np.asfortranarray(array),
    ):
        back = decode(encode(view))
        assert back.dtype == view.dtype
        np.testing.assert_array_equal(back, view)


def test_unaligned_frame_is_copied() -> None:
    """An array whose bytes start at an odd address is moved to an even one."""
    header, body = encode(np.arange(INLINE_BYTES, dtype=np.float64))
    odd = memoryview(b"x" + bytes(body))[1:]
    back = decode([header, odd])
    assert back.flags.aligned
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, np.arange(INLINE_BYTES))


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: Any


class Colour(str, Enum):  # noqa: UP042 - the older way, whose str() is another
    """An enumeration of strings."""

    RED = "red"


def test_subclasses_arrive_plain() -> None:
    """A named tuple arrives as a tuple, numpy's strings as strings."""
    back = decode(encode([Point(1, np.float32(2.5)), np.str_("text"), np.bytes_(b"raw"), Colour.RED, {np.int8(1): 2}]))
    assert [type(item) for item in back] == [tuple, str, bytes, str, dict]
    assert back == [(1, 2.5), "text", b"raw", "red", {1: 2}]


@pytest.mark.parametrize("shape", [(3,), (), (1, 3, 1), (0, 16), (2, 0)])
def test_arrays_of_text_travel(shape: tuple[int, ...]) -> None:
    """Text and bytes, of any shape, arrive as they are."""
    array = np.empty(shape, object)
    array.reshape(-1)[:] = ["grüß", b"\xff\x00", ""][: array.size] if array.size < 4 else "x"
    result = decode(encode({"text": array}))["text"]
    assert (result.dtype, result.shape, result.tolist()) == (array.dtype, array.shape, array.tolist())


@pytest.mark.parametrize("content", [((2,), ["a"]), ((-1,), ["a"]), ((1,), [1])])
def test_malformed_text_is_refused(content: tuple[tuple[int, ...], list[Any]]) -> None:
    """Shapes and contents are checked."""
    with pytest.raises(DecodeError, match="malformed value: text"):
        decode([msgspec.msgpack.encode(msgspec.msgpack.Ext(4, msgspec.msgpack.encode(content)))])


def endless() -> list[Any]:
    """Make a list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"boxes": [1, {2, 3}]}, r"value\['boxes'\]\[1\]: it is a builtins.set"),
        (np.array([None, 1]), "holds Python objects"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), "holds Python objects"),
        (np.ma.masked_array([1, 2], [True, False]), "masked array"),
        ({(1, 2): 3}, r"key \(1, 2\) is a tuple"),
        (2**64, "ints"),
        ("\ud800", "surrogates"),
        (endless(), f"deeper than {MAX_DEPTH}"),
    ],
    ids=str,
)
def test_what_cannot_travel_is_named(value: Any, complaint: str) -> None:
    """The error names the place in the value, and the reason."""
    with pytest.raises(EncodeError, match=complaint):
        encode(value)


def large(dtype: Any, shape: Any) -> bytes:
    """Make the header of one large array."""
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(0, msgspec.msgpack.encode((dtype, shape))))


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([], "no header"),
        ([large("<f4", [2]), b"1234567"], r"shape \[2\] cannot have 7 bytes"),
        ([large("<f4", [-1, -2]), b"12345678"], "cannot have 8 bytes"),
        ([large("<f4", [0, -2]), b""], "cannot have 0 bytes"),
        ([large("<f4", [0, 2**62]), b""], "too big"),
        ([large("<f4", [1] * 99), b"1234"], "dimension"),
        ([large("|O", [1]), b"12345678"], "no data type"),
        ([large("f4,f4", [1]), b"12345678"], "no data type"),
        ([large([["a", "|O8"]], [1]), b"12345678"], "no data type"),
        ([large("|V0", [2**40]), b""], "has no bytes"),
        ([large("<f4", [2])], "more arrays than there are frames"),
        ([large("<f4", [1]), b"1234", b"5678"], "1 more came"),
        ([b"\x91" * 10_000 + b"\xc0"], "recursion"),
        ([msgspec.msgpack.encode(msgspec.msgpack.Ext(77, b""))], "unknown extension 77"),
    ],
)
def test_malformed_frames_are_refused(frames: list[bytes], complaint: str) -> None:
    """Frames are checked before an array is made of them, and the error says what is wrong."""
    with pytest.raises(DecodeError, match=complaint):
        decode(frames)


def test_nested_tuples_have_a_limit() -> None:
    """A header of tuples within tuples cannot exhaust the stack."""
    data = msgspec.msgpack.encode([])
    for _ in range(MAX_DEPTH + 2):
        data = msgspec.msgpack.encode(msgspec.msgpack.Ext(3, data))
    with pytest.raises(DecodeError, match="deeper"):
        decode([data])
