"""The wire between a router and its workers: framed messages over ZeroMQ, the same on one host and across hosts.

A message is a MessagePack header and any number of value frames (`values`). Nothing is pickled. A worker is nobody
until it has said `Hello` with the token that it was started with.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import zmq

from heterosis.serving.messages import FromRouter, FromWorker
from heterosis.serving.values import Buffer

MAX_FRAME_BYTES = 1 << 30
T = TypeVar("T")

Frames = Sequence[Buffer]
Received = Callable[[bytes, FromWorker, list[Buffer]], None]


class Hub:
    """The router's end: talks to any number of workers, each known by the identity of its connection."""

    def __init__(self, address: str, received: Received, malformed: Callable[[bytes, str], None]) -> None:
        """Listen at an address (``ipc://…`` or ``tcp://…``) on the running event loop."""
        self._received = received
        self._malformed = malformed
        self._decoder = msgspec.msgpack.Decoder(FromWorker)
        self._socket = _socket(zmq.ROUTER, zmq.Context.instance())
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.bind(address)
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def send(self, peer: bytes, message: FromRouter, frames: Frames = ()) -> None:
        """Send to a worker. What is sent to one that is gone is lost: its launcher reports the end of the process."""
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart((peer, msgspec.msgpack.encode(message), *frames), zmq.NOBLOCK, copy=False)
        # ZeroMQ's descriptor is edge-triggered: sending may use up the edge that announced a message.
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._loop.call_soon(self._drain)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close(linger=0)

    def _drain(self) -> None:
        while not self._socket.closed:
            try:
                peer, *parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                message, frames = _decode(self._decoder, [part.buffer for part in parts])
            except (msgspec.DecodeError, IndexError) as error:
                self._malformed(peer.bytes, str(error))
            else:
                self._received(peer.bytes, message, frames)


class Link:
    """A worker's end: blocking, one message at a time, used by one thread; any other may end it."""

    def __init__(self, address: str) -> None:
        """Connect to a router."""
        self._decoder = msgspec.msgpack.Decoder(FromRouter)
        self._context = zmq.Context()  # of its own, so that it can be ended alone
        self._socket = _socket(zmq.DEALER, self._context)
        self._socket.connect(address)

    def send(self, message: FromWorker, frames: Frames = ()) -> None:
        """Send to the router."""
        self._socket.send_multipart((msgspec.msgpack.encode(message), *frames), copy=False)

    def receive(self) -> tuple[FromRouter, list[Buffer]]:
        """Wait for the next message."""
        return _decode(self._decoder, [part.buffer for part in self._socket.recv_multipart(copy=False)])

    def close(self) -> None:
        """Send what is still to be sent, for a second at most, and disconnect."""
        self._socket.close(linger=1000)

    def end(self) -> None:
        """Give up the link, once: who uses it raises `zmq.ContextTerminated`. Return when that one has closed it."""
        self._context.term()


def _socket(kind: int, context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    socket: zmq.Socket[bytes] = context.socket(kind)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.SNDHWM, 0)  # what is on its way is bounded by the scheduler
    socket.setsockopt(zmq.RCVHWM, 0)
    return socket


def _decode(decoder: "msgspec.msgpack.Decoder[T]", parts: list[Buffer]) -> tuple[T, list[Buffer]]:
    return decoder.decode(parts[0]), parts[1:]
