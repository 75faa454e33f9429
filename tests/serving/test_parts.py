"""Cutting a call's tensors into parts, and joining what comes back."""

import asyncio
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heterosis.serving.parts import LARGE_BYTES, Joint, cut, join
from heterosis.serving.router import Result
from heterosis.serving.transport.framing import Part
from heterosis.serving.values import Buffer, decode, encode
from heterosis.terms.errors import StageError, UnavailableError

Tensors = dict[str, np.ndarray[Any, Any]]


@st.composite
def divided(draw: st.DrawFn) -> tuple[Tensors, list[int]]:
    """Tensors of as many rows each, of any shape and data type that may travel, and the sizes of parts."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    tensors: Tensors = {}
    for name in draw(st.lists(st.text(max_size=3), min_size=1, max_size=3, unique=True)):
        shape = (sum(sizes), *draw(st.lists(st.integers(0, 30), max_size=2)))
        if draw(st.booleans()):
            dtype = draw(
                arrays.scalar_dtypes().filter(
                    lambda dtype: dtype.isnative and dtype.char not in "gG" and dtype.itemsize
                )
            )
            tensors[name] = draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype), fill=st.nothing()))
        else:
            tensors[name] = draw(arrays.arrays(object, shape, elements=st.text(max_size=3) | st.binary(max_size=3)))
    return tensors, sizes


@given(divided())
def test_what_is_cut_and_joined_is_as_it_was(case: tuple[Tensors, list[int]]) -> None:
    """Every part has its rows of every tensor, and all of them together are the whole, as it would have travelled."""
    tensors, sizes = case
    frames = encode((tensors,))
    parts = [decode(each)[0] for each in cut(frames, sizes)]
    ends = np.cumsum([0, *sizes]).tolist()
    for part, (begin, end) in zip(parts, pairwise(ends), strict=True):
        for name, array in tensors.items():
            np.testing.assert_array_equal(part[name], array[begin:end])
            assert part[name].dtype == array.dtype
    joined = join([encode(part) for part in parts], sizes)
    assert [bytes(each) for each in joined] == [bytes(each) for each in encode(tensors)]


def test_large_tensors_are_not_copied() -> None:
    """The frames of a part lie in those of the whole, also where these are said to be parts of a block."""
    tensors = {"x": np.arange(4000.0).reshape(40, 100), "y": np.arange(8000).reshape(40, 200)}
    header, *buffers = (memoryview(frame) for frame in encode((tensors,)))
    whole: list[Buffer | Part] = [header, *(Part(each, None, -1) for each in buffers)]
    first, second = cut(whole, [30, 10])
    for part in (first, second):
        for frame, of in zip(part[1:], buffers, strict=True):
            assert np.shares_memory(np.frombuffer(frame, np.uint8), np.frombuffer(of, np.uint8))
    assert decode(second)[0]["y"][:, 0].tolist() == list(range(6000, 8000, 200))


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([{"y": np.zeros(2)}, {"y": np.zeros(2)}], r"output 'y' has shape \(2,\) for 3 rows"),
        ([{"y": np.zeros(2)}, {"y": np.zeros(())}], r"output 'y' has shape \(\) for 3 rows"),
        ([{"y": np.zeros((2, 1))}, {"y": np.zeros((3, 2))}], "do not go together"),
        ([{"y": np.zeros(2)}, {"y": np.zeros(3, "M8[s]")}], "do not go together"),
        ([{"y": np.zeros(2)}, {"z": np.zeros(3)}], "do not go together"),
        ([{"y": np.zeros(2)}, {"y": [1, 2, 3]}], "no tensors"),
        ([{"y": np.zeros(2)}, [np.zeros(3)]], "no tensors"),
    ],
)
def test_results_that_do_not_go_together_are_an_error(results: list[Any], said: str) -> None:
    """Whatever a worker gives: the message says what is wrong."""
    with pytest.raises(StageError, match=said):
        join([encode(result) for result in results], [2, 3])


def test_results_that_cannot_be_read_are_an_error() -> None:
    """Frames that are no value at all."""
    with pytest.raises(StageError, match="malformed value"):
        join([encode({"y": np.zeros(2)}), [b"\xc1"]], [2, 3])


def test_the_whole_is_told_once_all_parts_are_there() -> None:
    """In whatever order they come; the rows are in that of the whole."""
    told: list[Result] = []
    joint = Joint([1, 2, 1], told.append)
    results = {place: [memoryview(each) for each in encode({"y": rows})] for place, rows in enumerate(ROWS)}
    for place in (2, 0):
        joint.told(place, results[place])
    assert not told
    joint.told(1, results[1])
    (result,) = told
    assert isinstance(result, list)
    assert decode(result)["y"].tolist() == [10, 20, 30, 40]


ROWS = [np.array([10]), np.array([20, 30]), np.array([40])]


async def test_large_results_are_joined_while_others_go_on() -> None:
    """Not before the loop has had its turn; what comes of it is the same."""
    told: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    joint, half = Joint([1, 1], told.set_result), np.random.default_rng(1).random((1, LARGE_BYTES // 16))
    for place in range(2):
        joint.told(place, [memoryview(each) for each in encode({"y": half + place})])
    assert not told.done()
    result = await told
    assert isinstance(result, list)
    np.testing.assert_array_equal(decode(result)["y"], np.concatenate([half, half + 1]))


def test_an_error_of_a_part_is_told_at_once() -> None:
    """And one of the joining."""
    told: list[Result] = []
    Joint([1, 2], told.append).told(1, UnavailableError("gone"))
    joint = Joint([1, 1], told.append)
    for place in range(2):
        joint.told(place, [memoryview(each) for each in encode({"y": np.zeros(2)})])
    assert [str(each) for each in told] == ["gone", "output 'y' has shape (2,) for 1 rows of input"]


async def test_that_joining_fails_is_told_whatever_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is done in a thread: nobody waits for what will not come."""
    told: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def exhausted(*_: object) -> NoReturn:
        raise MemoryError("no room for 8 GB")

    monkeypatch.setattr(np, "concatenate", exhausted)
    joint, half = Joint([1, 1], told.set_result), np.zeros((1, LARGE_BYTES // 16))
    for place in range(2):
        joint.told(place, [memoryview(each) for each in encode({"y": half})])
    assert str(await asyncio.wait_for(told, 5)).endswith("cannot be joined: MemoryError no room for 8 GB")
