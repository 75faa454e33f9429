"""The workers of a router: who they are, what they are told, and what becomes of them."""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec
import structlog

from heterosis.launch import Launcher
from heterosis.serving.messages import Assignment, Done, Failed, FromWorker, Hello, Ready
from heterosis.serving.transport import SharedMemory
from heterosis.serving.transport.hub import Hub, Peer
from heterosis.serving.values import Buffer
from heterosis.terms import Placement, Variant

log = structlog.get_logger()


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told once it has joined: what to load, and the frames of the batches to warm up on."""

    assignment: Assignment
    warm_up: Sequence[Buffer]


class Listener(Protocol):
    """Hears what becomes of workers."""

    def brief(self, placement: Placement) -> Brief:
        """Return what the worker of a placement is to be told."""
        ...

    def instance_ready(self, instance: str, ready: Ready) -> None:
        """An instance is loaded and warm."""
        ...

    def instance_failed(self, instance: str, reason: str) -> None:
        """An instance cannot load; that it is down will follow."""
        ...

    def instance_down(self, instance: str, reason: str) -> None:
        """An instance is gone, with whatever it held."""
        ...

    def batch_done(self, done: Done, frames: Sequence[bytes | memoryview]) -> None:
        """A batch has been run."""
        ...


class Workers:
    """Starts workers, lets in those that were started, and passes on what they say."""

    def __init__(self, launcher: Launcher, listener: Listener) -> None:
        """Start nothing yet."""
        self._launcher = launcher
        self._listener = listener
        self._token = secrets.token_hex(16)
        self.hub = Hub(self._received, self._malformed)
        """Where workers are talked to."""
        self.peers: dict[str, Peer] = {}
        """Those that have joined, by instance."""
        self._instances: dict[Peer, str] = {}
        self._placements: dict[str, Placement] = {}
        self._last_words: dict[str, str] = {}
        self._tasks: set[asyncio.Future[None]] = set()

    async def listen(self, address: str, memory: SharedMemory | None = None) -> None:
        """Wait for workers at an address; those on this host share memory, where there is some."""
        await self.hub.listen(address, memory)

    def start(self, placement: Placement, variant: Variant) -> None:
        """Have a worker started; `Listener` will hear of it."""
        self._placements[placement.instance] = placement
        log.info("starting instance", instance=placement.instance, variant=variant.name)
        self._spawn(self._start(placement, variant))

    async def _start(self, placement: Placement, variant: Variant) -> None:
        try:
            await self._launcher.start(placement, variant, self.hub.address, self._token, self._ended)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would hear of it
            self._ended(placement.instance, f"cannot be started: {type(error).__name__}: {error}")

    def stop(self, instance: str) -> None:
        """Have a worker ended; `Listener` will hear of it."""
        self._spawn(self._launcher.stop(instance))

    async def close(self) -> None:
        """End every worker, and stop listening."""
        await asyncio.gather(*(self._launcher.stop(name) for name in self._launcher.pids()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.hub.close()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what they say

    def _received(self, peer: Peer, message: FromWorker, frames: Sequence[bytes | memoryview]) -> None:
        if isinstance(message, Hello):
            self._welcome(peer, message)
            return
        instance = self._instances.get(peer)
        if instance is None:
            log.warning("dropped a message of a worker that never said who it is")
            return
        match message:
            case Done():
                self._listener.batch_done(message, frames)
            case Ready():
                self._last_words.pop(instance, None)
                log.info("instance ready", instance=instance, load_ms=round(message.load_ms))
                self._listener.instance_ready(instance, message)
            case Failed():
                log.error("instance cannot load", instance=instance, reason=message.reason)
                self._last_words[instance] = message.reason
                self._listener.instance_failed(instance, message.reason)
                self.stop(instance)

    def _malformed(self, peer: Peer, error: str) -> None:
        log.warning("dropped a malformed message", instance=self._instances.get(peer), error=error)

    def _welcome(self, peer: Peer, hello: Hello) -> None:
        placement = self._placements.get(hello.instance)
        known = placement is not None and hello.instance not in self.peers
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()) or not known or placement is None:
            log.warning("turned a worker away", instance=hello.instance, pid=hello.pid)
            return
        peer.welcome()
        self.peers[hello.instance] = peer
        self._instances[peer] = hello.instance
        brief = self._listener.brief(placement)
        peer.send(brief.assignment, brief.warm_up)

    def _ended(self, instance: str, reason: str) -> None:
        peer = self.peers.pop(instance, None)
        if peer is not None:
            del self._instances[peer]
        reason = self._last_words.pop(instance, reason)
        log.info("instance down", instance=instance, reason=reason)
        self._listener.instance_down(instance, reason)
