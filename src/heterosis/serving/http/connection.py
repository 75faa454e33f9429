"""One connection of HTTP/1.1: reads requests, runs the handler, writes answers; one request at a time.

A body of known length is read straight into the memory that it stays in: the only copy is the kernel's. What comes
before is read into a small buffer, so little of the body has to move out of there; but after a request with a large
body, another with the same head is expected, and both are read at once into memory for both.

Rules. A request is given to the handler when it is whole. While it is answered nothing more is read, except that what
follows (a pipelined request) is kept. When the client goes, the handler is cancelled. Bytes that are no HTTP are
answered with 400, a head or body past its limit with 431 or 413, and the connection ends.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Protocol, cast

from heterosis.serving.http.answers import CONTINUE, LAST_CHUNK, chunk, head_of
from heterosis.serving.http.failures import failure, malformed, too_large
from heterosis.serving.http.head import BodyParser, Head, MalformedError, parse_head
from heterosis.serving.http.messages import Again, Answer, Buffer, Handler, HttpRequest, HttpResponse, Pending
from heterosis.serving.http.rooms import Rooms
from heterosis.serving.outlet import Outlet

FIRST_READ_BYTES = 4096
MAX_HEAD_BYTES = 64 << 10
EXPECTED_BYTES = 16 << 10
"""Of a body, from which on another like it is expected."""
JOINED_BYTES = 32 << 10
"""Answers up to this size are joined: that costs less than sending parts."""
LINGER_S = 2.0
END_OF_HEAD = b"\r\n\r\n"


class Server(Protocol):
    """What a connection needs to know of its server."""

    handler: Handler
    max_body_bytes: int
    rooms: Rooms
    closing: bool
    connections: set["HttpConnection"]


class HttpConnection(asyncio.BufferedProtocol):
    """A client's connection."""

    def __init__(self, server: Server) -> None:
        """Belong to a server."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(FIRST_READ_BYTES)
        self._filled = 0
        self._head: Head | None = None
        self._raw_head = b""
        """The last head, as it came, where another like it is expected."""
        self._parsed_head: Head | None = None
        self._again: Again | None = None
        """What answers another request with that head."""
        self._body: memoryview | None = None
        """Where the body goes; where one like the last is expected, behind its head, and with a byte to spare."""
        self._body_filled = self._body_begin = self._body_end = 0
        self._room: memoryview | None = None
        """What was read at once with the head, until it is answered."""
        self._chunks: BodyParser | None = None
        self._chunks_bytes = 0
        self._answering: asyncio.Task[None] | asyncio.Handle | Pending | None = None
        self._last = False
        """Whether the connection ends with the answer."""
        self._refused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.since = self._loop.time()
        """When it last began to wait for a request."""

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is of a kind of its own
        self._outlet = Outlet(self._transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended makes no difference
        """Cancel what nobody waits for any more."""
        self._server.connections.discard(self)
        self._writable.set()
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None  # it knows us: the two of us would wait for the collector, with the body
        self._body = self._room = None

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - we know better
        """Where the next bytes go."""
        if self._answering is None:
            if self._body is None and self._raw_head and not self._filled and self._chunks is None:
                head = self._parsed_head
                assert head is not None  # noqa: S101
                assert head.length is not None  # noqa: S101
                # Room for a request like the last one; with a byte to spare, the kernel is asked but once for it.
                self._body_begin = len(self._raw_head)
                self._body_end = self._body_begin + head.length
                self._body = room = self._server.rooms.give(head.length + 1, head.headers, self._body_begin)
                self._body_filled = 0
                return room
            if self._body is not None:
                return self._body[self._body_filled :]
        if self._filled == len(self._buffer):
            larger = bytearray(2 * len(self._buffer))
            larger[: self._filled] = self._buffer
            self._buffer = larger
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        if self._refused:
            return
        if self._answering is not None:
            self._filled += nbytes
            if self._filled > MAX_HEAD_BYTES:
                self._transport.pause_reading()
        elif self._body is not None:
            self._body_filled += nbytes
            if self._head is None:
                raw = self._raw_head
                if self._body[: len(raw)] != raw or self._body_filled < len(raw):
                    self._differs(self._body)
                    return
                self._head = self._parsed_head
            if self._body_filled >= self._body_end:
                self._answer(self._body)
            else:
                self.since = self._loop.time()
        else:
            self._filled += nbytes
            self._read_buffer()

    # --- reading

    def _differs(self, room: memoryview) -> None:
        """Wait for more where what is there is the beginning of the last request's head; else read it as any other."""
        raw, filled = self._raw_head, self._body_filled
        if filled < len(raw) and raw[:filled] == room[:filled]:
            self.since = self._loop.time()
            return
        self._body, self._raw_head, self._again = None, b"", None
        self._buffer = bytearray(room[:filled]).ljust(FIRST_READ_BYTES)
        self._filled = filled
        self._read_buffer()

    def _read_buffer(self) -> None:
        """Find a head in the buffer, and the beginning of its body behind it."""
        try:
            if self._chunks is not None:
                self._read_chunks(self._chunks)
                return
            end = self._buffer.find(END_OF_HEAD, 0, self._filled)
            if end < 0:
                if self._filled > MAX_HEAD_BYTES:
                    self._refuse(malformed("the head is too long", 431))
                return
            end += len(END_OF_HEAD)
            raw = bytes(memoryview(self._buffer)[:end])
            self._begin(raw, parse_head(raw), end)
        except MalformedError as error:
            self._refuse(malformed(str(error)))

    def _begin(self, raw: bytes, head: Head, end: int) -> None:
        self._head, self._again = head, None
        if head.length is not None and head.length > self._server.max_body_bytes:
            self._refuse(too_large(head.length, self._server.max_body_bytes))
            return
        if head.expects_continue:
            self._transport.write(CONTINUE)
        if head.length is None:
            self._chunks, self._chunks_bytes = BodyParser(raw), 0
            self._consume(end)
            self._read_chunks(self._chunks)
        elif not head.length:
            self._consume(end)
            self._answer(memoryview(b""))
        else:
            if head.length >= EXPECTED_BYTES and not head.expects_continue:
                self._raw_head, self._parsed_head = raw, head
            else:
                self._raw_head = b""
            self._body = self._server.rooms.give(head.length, head.headers, 0)
            self._body_begin, self._body_end = 0, head.length
            here = min(head.length, self._filled - end)
            self._body[:here] = memoryview(self._buffer)[end : end + here]
            self._body_filled = here
            self._consume(end + here)
            if here == head.length:
                self._answer(self._body)

    def _consume(self, count: int) -> None:
        """Take so many bytes off the buffer."""
        left = self._filled - count
        if left:
            self._buffer[:left] = self._buffer[count : self._filled]
        self._filled = left

    def _read_chunks(self, chunks: BodyParser) -> None:
        if not self._filled:
            return
        chunks.feed(bytes(memoryview(self._buffer)[: self._filled]))
        self._chunks_bytes += self._filled
        self._filled = 0
        if self._chunks_bytes > self._server.max_body_bytes:
            self._refuse(too_large(self._chunks_bytes, self._server.max_body_bytes))
        elif chunks.complete:
            self._chunks = None
            body = b"".join(chunks.parts)
            self._answer(memoryview(body), last=chunks.surplus)

    # --- answering

    def _refuse(self, response: HttpResponse) -> None:
        """Answer at once, and end the connection: where the next request would begin is not known.

        What the client still sends is thrown away for a while, else its kernel might throw away the answer.
        """
        self._refused, self._filled, self._body, self._chunks = True, 0, None, None
        self._write(response, keep_alive=False)
        self._transport.write_eof()
        self._loop.call_later(LINGER_S, self._transport.close)

    def _answer(self, body: memoryview, *, last: bool = False) -> None:
        """Have a request answered, whose body is in this room; one that has none, or came in chunks, fills it."""
        head = self._head
        assert head is not None  # noqa: S101
        begin = 0
        if self._body is not None:
            if self._body_filled > self._body_end:  # the first byte of what follows
                self._buffer[0], self._filled = body[self._body_end], 1
            begin = self._body_begin
            self._room = body if begin else None
            body = body[begin : self._body_end]
        self._body, self._last = None, last or not head.keep_alive
        body = body.toreadonly()
        answer: Answer | None = None if self._again is None else self._again(body, begin)
        if answer is None:
            answer = self._handle(head, body, begin)
        if isinstance(answer, Pending):
            self._answering = answer
            answer.answered = self._answered  # type: ignore[misc] # its subclasses have the slot
        elif isinstance(answer, HttpResponse):  # later, lest a buffer full of such requests end in a deep recursion
            self._answering = self._loop.call_soon(self._answered, answer)
        else:
            self._answering = self._loop.create_task(self._run(answer))

    def _handle(self, head: Head, body: memoryview, begin: int) -> Answer:
        request = HttpRequest(
            method=head.method, path=head.path, query=head.query, headers=head.headers, body=body, begin=begin
        )
        answer = self._server.handler(request)
        if self._raw_head and head is self._parsed_head and isinstance(answer, Pending):
            self._again = answer.again(request)
        return answer

    async def _run(self, answer: Coroutine[Any, Any, HttpResponse]) -> None:
        try:
            response = await answer
            if isinstance(response.body, AsyncIterator):
                keep_alive = not (self._last or self._server.closing)
                try:
                    await self._stream(response, keep_alive=keep_alive)
                except ValueError as error:  # a header that is none
                    self._write(failure(error), keep_alive=keep_alive)
                self._next(keep_alive=keep_alive)
            else:
                self._answered(response)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception as error:  # noqa: BLE001 - a stream that broke off can only end its connection
            failure(error)
            self._transport.abort()

    def _answered(self, response: HttpResponse, *, body_is_done: bool = False) -> None:
        head, room = self._head, self._room
        if room is not None:
            self._room = None
            if body_is_done and head is not None and head.length is not None:
                self._server.rooms.take_back(room, head.length + 1, head.headers, self._body_begin)
        keep_alive = not (self._last or self._server.closing)
        try:
            self._write(response, keep_alive=keep_alive)
        except ValueError as error:  # a header that is none
            self._write(failure(error), keep_alive=keep_alive)
        self._next(keep_alive=keep_alive)

    def _next(self, *, keep_alive: bool) -> None:
        """Wait for the next request, which may be here already."""
        if not keep_alive:
            self._transport.close()
            return
        self._answering = None
        self._head = None
        self.since = self._loop.time()
        if self._filled:
            self._transport.resume_reading()
            self._read_buffer()
        elif len(self._buffer) > FIRST_READ_BYTES:
            self._buffer = bytearray(FIRST_READ_BYTES)

    def _write(self, response: HttpResponse, *, keep_alive: bool) -> None:
        """Write an answer whose body is no stream."""
        body: Sequence[Buffer] = response.body  # type: ignore[assignment] # who calls this has looked
        length = 0
        for part in body:
            length += len(part)
        head = head_of(response.status, tuple(response.headers.items()), length, keep_alive)
        if self._head is not None and self._head.method == "HEAD":
            self._transport.write(head)
        elif length <= JOINED_BYTES:
            self._outlet.write(b"".join((head, *body)))
        else:
            self._transport.writelines((head, *body))

    async def _stream(self, response: HttpResponse, *, keep_alive: bool) -> None:
        assert isinstance(response.body, AsyncIterator)  # noqa: S101
        self._transport.write(head_of(response.status, tuple(response.headers.items()), None, keep_alive))
        async for part in response.body:
            if part:
                self._transport.writelines(chunk(part))
            await self._writable.wait()
        self._transport.write(LAST_CHUNK)

    # --- the server's side

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered."""
        return self._answering is None

    @property
    def idle(self) -> bool:
        """Whether no request has begun."""
        return self._answering is None and self._head is None and (self._body is None or not self._body_filled)

    def close(self) -> None:
        """End it, after what is written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()
