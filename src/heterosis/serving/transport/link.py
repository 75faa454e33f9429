"""A worker's end of the wire: blocking, one message at a time."""

import contextlib
import functools
import socket
import threading
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec.structs import replace

from heterosis.serving.messages import Done, FromRouter, FromWorker, Run
from heterosis.serving.transport.framing import MAX_MESSAGE_BYTES, NOTHING, Assembler, frame
from heterosis.serving.transport.memory import look_into
from heterosis.serving.transport.repeats import MARK, Received, Sent, done_again
from heterosis.serving.transport.tcp import tune
from heterosis.serving.values import Buffer

RETRY_S = 0.1
LINGER_S = 1

_encode = msgspec.msgpack.Encoder().encode
_shared = functools.cache(look_into)
"""Workers of one process look at the same memory."""


class LinkEndedError(Exception):
    """The link was ended, by another thread or by the router."""


class Link:
    """Used by one thread; any other may end it."""

    def __init__(self, address: str) -> None:
        """Take a router's address; nothing is connected yet."""
        self._address = urlsplit(address)
        self._socket: socket.socket | None = None
        self._ended = threading.Event()
        self._decode = msgspec.msgpack.Decoder(FromRouter).decode
        self.waiting: list[list[memoryview]] = []
        """What came along with the last message, and need not be waited for."""
        memory = NOTHING
        with contextlib.suppress(OSError, KeyError):  # without it, all is sent
            memory = _shared(parse_qs(self._address.query)["memory"][0])
        self.shares = len(memory) > 0
        """Whether the router's shared memory can be read here."""
        self._memory = memory
        self._assembler = Assembler(MAX_MESSAGE_BYTES, memory)
        self._runs, self._results = Received(), Sent()

    def connect(self) -> None:
        """Connect to the router, however long it takes to be there. Raise LinkEndedError where the link is ended."""
        while not self._ended.is_set():
            try:
                self._socket = self._open()
            except OSError:
                self._ended.wait(RETRY_S)
            else:
                if self._ended.is_set():  # since it was looked at
                    break
                return
        raise LinkEndedError

    def send(self, message: FromWorker, frames: Sequence[Buffer] = ()) -> None:
        """Send to the router."""
        data = None
        if isinstance(message, Done) and len(message.sizes) == 1 and frames and not (message.errors or message.skipped):
            header, *arrays = frames
            kind = self._results.get(header)
            if kind is not None:
                data = done_again(kind, message.batch, message.run_ms, arrays)
            else:
                message = replace(message, kind=self._results.new(header, len(arrays)))
        if data is None:
            data = b"".join(frame([_encode(message), *frames]))
        assert self._socket is not None  # noqa: S101 - it is connected; what is ended raises OSError
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkEndedError from error

    def receive(self) -> tuple[FromRouter, Sequence[Buffer]]:
        """Wait for the next message."""
        while (message := self._next(0)) is None:
            pass
        return message

    def receive_nowait(self) -> tuple[FromRouter, Sequence[Buffer]] | None:
        """Take the next message, if it is there already."""
        try:
            return self._next(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def _next(self, flags: int) -> tuple[FromRouter, Sequence[Buffer]] | None:
        """Return the next message, after reading where none is there; None where not all of it is there yet.

        Raise BlockingIOError where nothing is there, and that is not to be waited for.
        """
        assert self._socket is not None  # noqa: S101
        only = None
        if not self.waiting:
            try:
                count = self._socket.recv_into(self._assembler.room, 0, flags)
            except BlockingIOError:
                raise
            except OSError as error:
                raise LinkEndedError from error
            if not count:
                raise LinkEndedError
            only = self._assembler.only(count)
            if only is None:
                self.waiting = self._assembler.arrived(count)
        if only is not None:
            head, frames = only, []
        elif self.waiting:
            head, *frames = self.waiting.pop(0)
        else:
            return None
        if head and head[0] == MARK:
            return self._runs.run(head, self._memory)
        message = self._decode(head)
        if isinstance(message, Run) and message.kind:
            self._runs.learn(message, frames)
        return message, frames

    def close(self) -> None:
        """Send what is still to be sent, and disconnect."""
        if self._socket is not None:
            self._socket.close()

    def end(self) -> None:
        """Give up the link: who uses it raises `LinkEndedError`."""
        self._ended.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _open(self) -> socket.socket:
        if self._address.scheme == "unix":
            opened = socket.socket(socket.AF_UNIX)
            try:
                opened.connect(self._address.path)
            except OSError:
                opened.close()
                raise
            return opened
        opened = socket.create_connection((str(self._address.hostname), self._address.port or 0))
        tune(opened)
        return opened
