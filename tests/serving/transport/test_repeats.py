"""Messages that repeat an earlier one, over real sockets."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.messages import Done, Run
from heterosis.serving.transport import Link, SharedMemory
from heterosis.serving.transport.framing import Assembler, FramingError, Part
from heterosis.serving.transport.hub import SHARED_BYTES, Peer
from heterosis.serving.transport.repeats import MOST_KINDS, Again, Received, done_again, run_again
from heterosis.serving.values import Buffer, decode, encode

from .test_transport import Ear, connected

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def call(memory: SharedMemory, array: Array, at: int = 0) -> list[Buffer | Part]:
    """A call with an array that lies in a block of the memory, so far behind its beginning."""
    header, data = encode(({"x": array},))
    block = memory.allocate(len(data) + at)
    assert block is not None
    block[at:] = data
    return [header, Part(block[at:], block, at)]


def picture(value: float, rows: int = 1) -> Array:
    """One that is large enough to be shared."""
    return np.full((rows, SHARED_BYTES // 4), value, np.float32)


async def there(peer: Peer, link: Link, batch: int, frames: Sequence[Buffer | Part]) -> tuple[Run, Sequence[Buffer]]:
    """Send a call, and take it at the other end."""
    peer.send(Run(batch=batch, sizes=(2,)), frames)
    message, came = await asyncio.to_thread(link.receive)
    assert isinstance(message, Run)
    return message, came


async def back(link: Link, ear: Ear, done: Done, frames: Sequence[Buffer]) -> tuple[Done, Sequence[Buffer]]:
    """Send a result, and take it at the router's end."""
    await asyncio.to_thread(link.send, done, frames)
    _, message, came = await ear.heard.get()
    assert isinstance(message, Done)
    return message, came


async def test_repeats_are_what_a_message_in_full_would_be(tmp_path: Path) -> None:
    """Calls with their arrays, and results with theirs, of several kinds in turn."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        for batch in range(1, 20):
            rows = 1 + batch % 3
            run, frames = await there(peer, link, batch, call(memory, picture(batch, rows)))
            assert (run.batch, run.sizes) == (batch, (2,))
            assert isinstance(frames, Again) == (batch > 3)
            (values,) = decode(frames)
            np.testing.assert_array_equal(values["x"], picture(batch, rows))
            result = {"y": np.arange(rows) + batch, "z": np.full(3, batch, np.int8)}
            sent = encode(result)
            done, frames = await back(link, ear, Done(batch=batch, run_ms=2.5, sizes=(3,)), sent)
            assert (done.batch, done.run_ms, done.sizes, done.errors, done.skipped) == (batch, 2.5, (3,), {}, ())
            assert bytes(frames[0]) == sent[0]
            came = decode(frames)
            assert came.keys() == result.keys()
            for name, array in result.items():
                np.testing.assert_array_equal(came[name], array)
        assert memory.given == 0


async def test_frames_at_the_same_place_are_the_same(tmp_path: Path) -> None:
    """So what was made of them sees what lies there now; where an array is not aligned, a copy might be made of it."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        seen = []
        for batch in range(3):
            _, frames = await there(peer, link, batch, call(memory, picture(batch)))
            seen.append(frames)
            await back(link, ear, Done(batch=batch, run_ms=1.0, sizes=(1,)), [b"x"])
        assert seen[1] is seen[2]
        (values,) = decode(seen[1])
        assert values["x"][0, 0] == 2
        _, frames = await there(peer, link, 3, call(memory, picture(3), at=1))
        assert not isinstance(frames, Again)
        (values,) = decode(frames)
        assert values["x"][0, 0] == 3


async def test_more_kinds_than_there_are_numbers_for(tmp_path: Path) -> None:
    """The oldest one's number goes to the latest."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        for batch in range(3 * MOST_KINDS):
            rows = 1 + batch % (MOST_KINDS + 2) if batch < 2 * MOST_KINDS else 7
            _, frames = await there(peer, link, batch, call(memory, picture(batch, rows)))
            (values,) = decode(frames)
            np.testing.assert_array_equal(values["x"], picture(batch, rows))
            sent = encode({"y": np.full(rows, batch)})
            _, frames = await back(link, ear, Done(batch=batch, run_ms=1.0, sizes=(2,)), sent)
            np.testing.assert_array_equal(decode(frames)["y"], np.full(rows, batch))


async def test_errors_and_large_results_are_sent_in_full(tmp_path: Path) -> None:
    """After one of their kind was, too."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        await there(peer, link, 0, call(memory, picture(0)))
        for batch in range(3):
            sent = encode({"y": picture(batch)})
            done, frames = await back(link, ear, Done(batch=batch, run_ms=1.0, sizes=(2,)), sent)
            assert (done.batch, list(map(bytes, frames))) == (batch, list(map(bytes, sent)))
        done, frames = await back(link, ear, Done(batch=3, run_ms=1.0, sizes=(0,), errors={0: "no"}), [])
        assert (done.errors, list(frames)) == ({0: "no"}, [])


def frame_of(message: bytes) -> memoryview:
    """The frame of a message that has but one."""
    assembler = Assembler(1 << 20)
    assembler.room[: len(message)] = message
    only = assembler.only(len(message))
    assert only is not None
    return only


@given(st.binary(max_size=80))
def test_what_repeats_nothing_is_refused(tail: bytes) -> None:
    """Whatever it is; it is never another error."""
    received = Received()
    with pytest.raises(FramingError):
        received.run(memoryview(b"\xc1" + tail), memoryview(b""))
    with pytest.raises(FramingError):
        received.done(memoryview(b"\xc1" + tail))


def test_repeats_have_to_fit_their_kind() -> None:
    """As many places, as many bytes; and the first of a kind one call, and a number that there is."""
    received, header = Received(), encode({"y": np.ones(8)})[0]
    for kind, sizes in ((0, (2,)), (MOST_KINDS + 1, (2,)), (1, (1, 1))):
        with pytest.raises(FramingError):
            received.learn(Run(batch=1, sizes=sizes, kind=kind), [header, bytes(64)])
    received.learn(Run(batch=1, sizes=(2,), kind=1), [header, bytes(64)])
    shared = memoryview(bytes(100))
    message, frames = received.run(frame_of(run_again(1, 5, [16])), shared)
    assert (message.batch, list(map(bytes, frames))) == (5, [header, bytes(64)])
    with pytest.raises(FramingError):
        received.run(frame_of(run_again(1, 6, [16, 32])), shared)
    with pytest.raises(FramingError):
        received.done(frame_of(done_again(1, 6, 1.0, [bytes(65)]) or b""))
    assert received.done(frame_of(done_again(1, 6, 1.0, [bytes(64)]) or b""))[0].batch == 6
