"""The router's end of the wire: talks to any number of workers, each known by its connection.

A worker answers each message but `Skip` with one of its own, in order; what a message holds in shared memory is held
until then.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from heterosis.serving.messages import Done, FromRouter, FromWorker, Hello, Run, Skip
from heterosis.serving.outlet import Outlet
from heterosis.serving.transport.framing import (
    ALIGNMENT,
    INLINE,
    MAX_MESSAGE_BYTES,
    PADDING,
    Assembler,
    Frames,
    FramingError,
    Part,
    head_of,
)
from heterosis.serving.transport.memory import SharedMemory
from heterosis.serving.transport.repeats import MARK, Received, Sent, run_again
from heterosis.serving.transport.tcp import tune
from heterosis.serving.values import Buffer

STRANGER_BYTES = 64 << 10
"""Largest message of a worker that has not said who it is."""
SHARED_BYTES = 16 << 10
"""Frames from this size on are shared where they can be: a smaller one is copied sooner than looked up."""
JOINED_BYTES = 16 << 10
BACKLOG = 1024

Hear = Callable[["Peer", FromWorker, Sequence[bytes | memoryview]], None]
_encode = msgspec.msgpack.Encoder().encode


class Hub:
    """Listens for workers."""

    def __init__(self, received: Hear, malformed: Callable[["Peer", str], None]) -> None:
        """Pass on what workers say, and that they say what nobody understands."""
        self.received = received
        self.malformed = malformed
        self.decode = msgspec.msgpack.Decoder(FromWorker).decode
        self.peers: set[Peer] = set()
        self.address = ""
        """Where workers that are started here find it."""
        self.memory: SharedMemory | None = None
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: str, memory: SharedMemory | None = None) -> str:
        """Listen at an address: ``unix:///path``, or ``tcp://host:port``, where port 0 is any that is free.

        Return the address that workers are to be told; the first one is that of those which are started here. Workers
        that listen at a path are on this host, and share ``memory``.
        """
        loop = asyncio.get_running_loop()
        parts = urlsplit(address)
        if parts.scheme == "unix":
            server = await loop.create_unix_server(lambda: Peer(self), parts.path, backlog=BACKLOG)
            self.memory = memory
            found = address if memory is None else f"{address}?memory={memory.path}"
        else:
            server = await loop.create_server(lambda: Peer(self), parts.hostname, parts.port or 0, backlog=BACKLOG)
            host, port = server.sockets[0].getsockname()[:2]
            found = f"tcp://{f'[{host}]' if ':' in host else host}:{port}"
        self._servers.append(server)
        self.address = self.address or found
        return found

    def close(self) -> None:
        """Stop listening, and hang up."""
        for server in self._servers:
            server.close()
        for peer in list(self.peers):
            peer.close()


class Peer(asyncio.BufferedProtocol):
    """A worker's connection."""

    def __init__(self, hub: Hub) -> None:
        """Belong to a hub."""
        self._hub = hub
        self._assembler = Assembler(STRANGER_BYTES)
        self._shares = False
        self._held: deque[list[Buffer]] = deque()
        self._runs, self._results = Sent(), Received()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is of a kind of its own
        self._outlet = Outlet(self._transport)
        connection: socket.socket = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            tune(connection)
        self._hub.peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the launcher says why
        """Let go of what it had."""
        self._hub.peers.discard(self)
        self._held.clear()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - we know better
        """Where the next bytes go."""
        return self._assembler.room

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        message: FromWorker
        values: Sequence[bytes | memoryview]
        try:
            only = self._assembler.only(nbytes)
            for frames in self._assembler.arrived(nbytes) if only is None else ([only],):
                head = frames[0]
                if head and head[0] == MARK:
                    message, values = self._results.done(head)
                else:
                    message, values = self._hub.decode(head), frames[1:]
                    if isinstance(message, Done) and message.kind:
                        self._results.learn(message, values)
                if isinstance(message, Hello):
                    self._shares = message.shares
                elif self._held:
                    self._held.popleft()
                self._hub.received(self, message, values)
        except (FramingError, msgspec.DecodeError) as error:
            self._hub.malformed(self, str(error))
            self.close()  # where the next message would begin is not known

    def welcome(self) -> None:
        """Trust it: it has shown that it was started by us."""
        self._assembler.most_bytes = MAX_MESSAGE_BYTES

    def send(self, message: FromRouter, frames: Frames = ()) -> None:
        """Send to the worker. What is sent to one that is gone is lost: its launcher reports the end of the process."""
        if self._transport.is_closing():
            return
        entries = [0, INLINE]
        parts: list[Buffer] = [b"", b"", b""]
        held: list[Buffer] = []
        inline = 0
        for each in frames:
            buffer, block, at = (each.view, each.block, each.at) if isinstance(each, Part) else (each, None, -1)
            length = len(buffer)
            shared = self._shared(buffer, block, at) if length >= SHARED_BYTES and self._shares else None
            if shared is not None:
                entries += (length, shared[1])
                held.append(shared[0])
            else:
                entries += (length, INLINE)
                parts += (buffer, PADDING[length % ALIGNMENT])
                inline += length
        if not isinstance(message, Skip):
            self._held.append(held)
        if isinstance(message, Run) and len(message.sizes) == 1 and len(held) == len(frames) - 1:
            header = frames[0]
            if isinstance(header, bytes):
                kind = self._runs.get(header)
                if kind is not None:
                    self._outlet.write(run_again(kind, message.batch, entries[5::2]))
                    return
                message = replace(message, kind=self._runs.new(header, len(held)))
        parts[1] = said = _encode(message)
        entries[0] = length = len(said)
        parts[2] = PADDING[length % ALIGNMENT]
        parts[0] = head_of(entries)
        if inline <= JOINED_BYTES:
            self._outlet.write(b"".join(parts))
        else:
            self._transport.writelines(parts)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _shared(self, buffer: Buffer, block: memoryview | None, at: int) -> tuple[Buffer, int] | None:
        """Where a frame is in shared memory, after copying it there where it was not; None where there is no room."""
        memory = self._hub.memory
        if memory is None:
            return None
        begin = None if block is None else memory.begin_of(block)
        if begin is not None:
            return buffer, begin + at
        place = memory.place_of(buffer) if at < 0 else None
        if place is not None:
            return buffer, place
        copied = memory.copy(buffer)
        if copied is None:
            return None
        begin = memory.begin_of(copied)
        assert begin is not None  # noqa: S101
        return copied, begin
