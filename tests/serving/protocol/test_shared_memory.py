"""System shared memory: what is read and written, and all that is refused."""

import os
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory as Segment
from typing import Any

import numpy as np
import pytest

from heterosis.serving.protocol import InferResponse, decode_request, decode_response, encode_response
from heterosis.serving.protocol.messages import Slice
from heterosis.serving.protocol.shared_memory import FOLDER, Region, SharedMemory
from heterosis.terms.errors import InvalidInputError, NotFoundError


@pytest.fixture
def segment() -> Iterator[Segment]:
    """A client's shared memory, 64 bytes of it meant."""
    made = Segment(create=True, size=64)
    yield made
    made.close()
    made.unlink()


def memory_of(segment: Segment) -> "memoryview[int]":
    """Its bytes."""
    assert segment.buf is not None
    return segment.buf


@pytest.fixture
def shared(segment: Segment) -> Iterator[SharedMemory]:
    """The server's side, with the last 48 bytes registered."""
    memory = SharedMemory()
    memory.register(Region(name="r", key="/" + segment.name, offset=16, byte_size=48))
    yield memory
    memory.close()


def test_parts_are_read_and_written_at_their_place(segment: Segment, shared: SharedMemory) -> None:
    """Offsets count from the beginning of the region."""
    memory_of(segment)[20:24] = b"abcd"
    assert bytes(shared.read(Slice("r", 4, 4))) == b"abcd"
    shared.write(Slice("r", 8, 8), b"efgh")
    assert bytes(memory_of(segment)[24:28]) == b"efgh"


def test_tensors_travel_through_it(segment: Segment, shared: SharedMemory) -> None:
    """Input and output in one region; the answer has no data, nor parameters, at which some clients would stumble."""
    memory_of(segment)[16:24] = np.array([3, 4], np.int32).tobytes()
    body = (
        b'{"inputs": [{"name": "x", "datatype": "INT32", "shape": [2], "parameters":'
        b' {"shared_memory_region": "r", "shared_memory_byte_size": 8}}],'
        b' "outputs": [{"name": "y", "parameters":'
        b' {"shared_memory_region": "r", "shared_memory_byte_size": 16, "shared_memory_offset": 8}}]}'
    )
    asked = decode_request(body, None, shared)
    assert asked.inputs["x"].tolist() == [3, 4]
    length, parts = encode_response(InferResponse(model_name="m", outputs={"y": asked.inputs["x"] * 2}), asked, shared)
    assert length is None
    assert b'"data"' not in parts[0]
    assert b'"parameters"' not in parts[0]
    assert np.frombuffer(memory_of(segment)[24:32], np.int32).tolist() == [6, 8]


def test_a_region_that_was_cut_short_is_an_error(segment: Segment, shared: SharedMemory) -> None:
    """Where a mapping would end the process."""
    os.truncate(FOLDER / segment.name, 20)
    with pytest.raises(InvalidInputError, match="has become shorter"):
        shared.read(Slice("r", 0, 16))
    with pytest.raises(InvalidInputError, match="has become shorter"):
        shared.write(Slice("r", 0, 16), b"x" * 16)


@pytest.mark.parametrize(
    "part", [Slice("r", 0, 49), Slice("r", 48, 1), Slice("r", -1, 2), Slice("r", 0, -1), Slice("r", 2**70, 1)]
)
def test_nothing_outside_a_region_is_touched(shared: SharedMemory, part: Slice) -> None:
    """Neither before nor behind it."""
    with pytest.raises(InvalidInputError, match="not within"):
        shared.read(part)
    with pytest.raises(InvalidInputError, match="not within"):
        shared.write(part, b"")


def test_what_does_not_fit_is_not_written(segment: Segment, shared: SharedMemory) -> None:
    """Not even the part that would."""
    with pytest.raises(InvalidInputError, match="does not fit"):
        shared.write(Slice("r", 0, 4), b"12345")
    assert bytes(memory_of(segment)[16:21]) == b"\0" * 5


@pytest.mark.parametrize(
    "key", ["", "/", "..", "/..", "/a/b", "../etc/passwd", "//x", "/nul\0", "/heterosis-1", "nope"]
)
def test_keys_that_name_no_memory_of_a_client_are_refused(key: str) -> None:
    """Paths, our own segments, what is not there."""
    with pytest.raises(InvalidInputError, match="shared memory"):
        SharedMemory().register(Region(name="r", key=key, offset=0, byte_size=1))


@pytest.mark.parametrize("changes", [{"offset": -1}, {"byte_size": 0}, {"byte_size": 2**62}, {"offset": 2**62}])
def test_regions_must_lie_within_their_memory(segment: Segment, changes: dict[str, Any]) -> None:
    """The system may round sizes up to whole pages; no more."""
    place = {"offset": 0, "byte_size": 64, **changes}
    with pytest.raises(InvalidInputError, match="shared memory"):
        SharedMemory().register(Region(name="r", key=segment.name, **place))


def test_names_are_registered_once_and_can_be_forgotten(segment: Segment, shared: SharedMemory) -> None:
    """Forgetting what is not there is no error; asking about it is."""
    region = Region(name="r", key=segment.name, offset=0, byte_size=8)
    with pytest.raises(InvalidInputError, match="registered already"):
        shared.register(region)
    shared.unregister("other")
    shared.unregister("r")
    with pytest.raises(NotFoundError):
        shared.status("r")
    with pytest.raises(InvalidInputError, match="no shared memory region 'r'"):
        shared.read(Slice("r", 0, 1))
    shared.register(region)
    assert shared.status() == [region]


def test_a_server_for_other_hosts_offers_none(segment: Segment) -> None:
    """Its clients could read what they have no business to."""
    with pytest.raises(InvalidInputError, match="own host"):
        SharedMemory(enabled=False).register(Region(name="r", key=segment.name, offset=0, byte_size=8))


def test_an_answer_in_shared_memory_is_no_answer_without_it() -> None:
    """A response that names a region cannot be read by who has not registered it."""
    with pytest.raises(Exception, match="no shared memory region"):
        decode_response(
            b'{"model_name": "m", "outputs": [{"name": "y", "datatype": "INT8", "shape": [1], "parameters":'
            b' {"shared_memory_region": "r", "shared_memory_byte_size": 1}}]}'
        )
