"""Hub and link over real sockets, with shared memory and without."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from heterosis.serving.messages import Done, FromWorker, Hello, Run
from heterosis.serving.transport import Link, LinkEndedError, SharedMemory
from heterosis.serving.transport.hub import Hub, Peer
from heterosis.serving.values import Buffer

SIZES = (0, 1, 4000, 100_000, 3_000_000)
HELLO = Hello(instance="a", token="t", pid=1)  # noqa: S106 - none that counts


class Ear:
    """Hears what workers say."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.heard: asyncio.Queue[tuple[Peer, FromWorker, list[Buffer]]] = asyncio.Queue()
        self.hub = Hub(lambda *said: self.heard.put_nowait(said), lambda *_: None)


@asynccontextmanager
async def connected(address: str, memory: SharedMemory | None) -> AsyncIterator[tuple[Ear, Link, Peer]]:
    """A router's end and a worker's."""
    ear = Ear()
    await ear.hub.listen(address, memory)
    link = Link(ear.hub.address)

    def introduce() -> None:
        link.connect()
        link.send(Hello(instance="a", token="t", pid=1, shares=link.shares))  # noqa: S106

    await asyncio.to_thread(introduce)
    peer, _, _ = await ear.heard.get()
    peer.welcome()
    yield ear, link, peer
    link.close()
    ear.hub.close()


def mirror(link: Link) -> None:
    """Send back every batch until the link ends."""
    try:
        while True:
            message, frames = link.receive()
            assert isinstance(message, Run)
            link.send(Done(batch=message.batch, run_ms=0.0, sizes=(), errors={}), frames)
    except LinkEndedError:
        pass


@pytest.fixture(params=["unix", "shared", "tcp"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, SharedMemory | None]:
    """An address, and the memory that is shared there."""
    if request.param == "tcp":
        return "tcp://127.0.0.1:0", None
    return f"unix://{tmp_path}/hub", SharedMemory() if request.param == "shared" else None


async def test_frames_of_any_size_go_there_and_back(wire: tuple[str, SharedMemory | None]) -> None:
    """Whatever carries them, in order; and no shared memory is held once all is answered."""
    memory = wire[1]
    async with connected(*wire) as (ear, link, peer):
        assert link.shares == (memory is not None)
        working = asyncio.create_task(asyncio.to_thread(mirror, link))
        for batch in range(20):
            peer.send(Run(batch=batch, sizes=()), [bytes([batch]) * size for size in SIZES])
        for batch in range(20):
            _, message, frames = await ear.heard.get()
            assert isinstance(message, Done)
            assert message.batch == batch
            assert list(map(bytes, frames)) == [bytes([batch]) * size for size in SIZES]
        assert memory is None or memory.given == 0
        link.end()
        await working


async def test_what_is_there_need_not_be_waited_for(tmp_path: Path) -> None:
    """Messages that came together are all found, one by one, and then no more."""
    async with connected(f"unix://{tmp_path}/hub", None) as (_, link, peer):
        assert link.receive_nowait() is None
        for batch in (1, 2, 3):
            peer.send(Run(batch=batch, sizes=(1,)), [bytes([batch])])
        await asyncio.sleep(0.05)
        for batch in (1, 2, 3):
            found = link.receive_nowait()
            assert found is not None
            message, (frame,) = found
            assert isinstance(message, Run)
            assert (message.batch, bytes(frame)) == (batch, bytes([batch]))
        assert link.receive_nowait() is None


async def test_a_block_is_held_until_the_worker_has_answered(tmp_path: Path) -> None:
    """Even though the router has forgotten it, and is not used again for another request meanwhile."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        body = memory.allocate(50_000)
        assert body is not None
        body[:] = b"x" * 50_000
        peer.send(Run(batch=1, sizes=()), [body])
        del body
        assert memory.given == 1
        _, frames = await asyncio.to_thread(link.receive)
        assert bytes(frames[0]) == b"x" * 50_000
        await asyncio.to_thread(link.send, Done(batch=1, run_ms=0.0, sizes=(), errors={}))
        await ear.heard.get()
        assert memory.given == 0


async def test_without_room_in_shared_memory_frames_are_sent(tmp_path: Path) -> None:
    """Memory that is full slows nobody down but itself."""
    memory = SharedMemory(1 << 16)
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        working = asyncio.create_task(asyncio.to_thread(mirror, link))
        peer.send(Run(batch=1, sizes=()), [b"y" * 200_000])
        _, _, frames = await ear.heard.get()
        assert bytes(frames[0]) == b"y" * 200_000
        link.end()
        await working


async def test_a_worker_that_goes_lets_go_of_what_it_held(tmp_path: Path) -> None:
    """Its blocks are free for others."""
    memory = SharedMemory()
    async with connected(f"unix://{tmp_path}/hub", memory) as (ear, link, peer):
        peer.send(Run(batch=1, sizes=()), [bytes(100_000)])
        assert memory.given == 1
        link.close()
        await until(lambda: not ear.hub.peers)
        assert memory.given == 0
        peer.send(Run(batch=2, sizes=()), [b"nobody"])


async def test_a_link_can_be_ended_while_it_waits_for_its_router(tmp_path: Path) -> None:
    """There need not be one."""
    link = Link(f"unix://{tmp_path}/nobody")
    waiting = asyncio.create_task(asyncio.to_thread(link.connect))
    await asyncio.sleep(0.05)
    link.end()
    with pytest.raises(LinkEndedError):
        await waiting


async def until(met: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - it is soon
            await asyncio.sleep(0.01)
