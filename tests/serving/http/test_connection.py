"""The HTTP connection, without a socket: bytes in, requests to the handler, bytes out."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.http import HttpRequest, HttpResponse, HttpServer, Pending, connection
from heterosis.serving.http.connection import EXPECTED_BYTES, FIRST_READ_BYTES, MAX_HEAD_BYTES, HttpConnection
from heterosis.serving.http.rooms import Heap

MAX_BODY_BYTES = 1 << 16


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and gives what arrives as the kernel would."""

    def __init__(self, connection: HttpConnection) -> None:
        """Connect."""
        super().__init__()
        self.written = b""
        self.closed = False
        self.paused = False
        self._connection = connection
        connection.connection_made(self)

    def arrive(self, data: bytes) -> None:
        """Hand over bytes, as many at a time as there is room for."""
        while data and not self.closed:
            room = self._connection.get_buffer(-1)
            count = min(len(room), len(data))
            assert count, "no room, and no pause"
            room[:count] = data[:count]
            self._connection.buffer_updated(count)
            data = data[count:]

    def write(self, data: Any) -> None:
        """Keep."""
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        """Keep."""
        self.written += b"".join(list_of_data)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def write_eof(self) -> None:
        """Nothing to do."""

    def pause_reading(self) -> None:
        """Remember."""
        self.paused = True

    def resume_reading(self) -> None:
        """Remember."""
        self.paused = False

    def close(self) -> None:
        """Remember."""
        self.closed = True

    abort = close


async def echo(request: HttpRequest) -> HttpResponse:
    """Say what came."""
    return HttpResponse(body=[f"{request.method} {request.path} {request.query} ".encode(), bytes(request.body)])


def connect(handler: Any = echo) -> tuple[HttpConnection, Wire]:
    """A connection of a server that listens nowhere."""
    made = HttpConnection(HttpServer(handler, MAX_BODY_BYTES))
    return made, Wire(made)


async def settle() -> None:
    """Let the loop come to rest."""
    for _ in range(5):
        await asyncio.sleep(0)


async def talk(*pieces: bytes, handler: Any = echo) -> Wire:
    """Send pieces of bytes, with time for the handler between them."""
    _, wire = connect(handler)
    for piece in pieces:
        wire.arrive(piece)
        await settle()
    return wire


def bodies(written: bytes) -> list[bytes]:
    """The bodies of answers of known length."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        written = rest[length:]
    return found


def post(body: bytes, *, chunks: Sequence[int] = ()) -> bytes:
    """A request with a body, whole or in chunks that end at these places."""
    if not chunks:
        return b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    ends = sorted({*(place for place in chunks if 0 < place < len(body)), len(body)})
    parts = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n"


@given(
    sent=st.lists(st.binary(max_size=9000), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 30_000), max_size=6),
)
def test_requests_arrive_whole_however_their_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    """Pipelined or in pieces, each request is answered once, in order."""
    check_cut(sent, cuts)


def check_cut(sent: Sequence[bytes], cuts: Sequence[int]) -> None:
    """Send requests with these bodies, their bytes cut at these places."""
    stream = b"".join(map(post, sent))
    ends = sorted({*(min(cut, len(stream)) for cut in cuts), len(stream)})
    pieces = [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    wire = asyncio.run(talk(*pieces, b""))
    assert bodies(wire.written) == [b"POST /a b=c " + body for body in sent]
    assert not wire.closed


@given(
    sent=st.lists(st.sampled_from([b"a" * 5000, b"b" * 5000, b"c" * 4999, b"d" * 3, b""]), min_size=2, max_size=6),
    cuts=st.lists(st.integers(0, 30_000), max_size=6),
)
def test_what_is_not_like_the_last_request_is_read_as_well(sent: list[bytes], cuts: list[int]) -> None:
    """After a large body another such request is expected; whatever comes, and in what pieces, is answered."""
    with mock.patch.object(connection, "EXPECTED_BYTES", 4999):
        check_cut(sent, cuts)


def test_a_request_like_the_last_one_is_read_at_once() -> None:
    """Head and body into one room, with a byte to spare, so that the kernel need not be asked again."""
    stream = post(b"x" * EXPECTED_BYTES)

    async def read() -> list[int]:
        open_, wire = connect()
        rooms = []
        for _ in range(2):
            rooms.append(len(open_.get_buffer(-1)))
            wire.arrive(stream)
            await settle()
        return rooms

    assert asyncio.run(read()) == [FIRST_READ_BYTES, len(stream) + 1]


@pytest.mark.parametrize("done", [True, False])
async def test_the_room_of_a_body_is_taken_back_once_nobody_looks_at_it(*, done: bool) -> None:
    """Only where the answer says so."""
    taken: list[int] = []

    class Kept(Heap):
        def take_back(self, room: memoryview, length: int, headers: Mapping[str, str], before: int) -> None:  # noqa: ARG002
            assert len(room) == before + length
            taken.append(room[before])

    class Later(Pending):
        def cancel(self) -> None:
            """Never."""

    asked: list[Later] = []

    def handler(_: HttpRequest) -> Later:
        asked.append(Later())
        return asked[-1]

    open_ = HttpConnection(HttpServer(handler, MAX_BODY_BYTES, Kept()))
    wire = Wire(open_)
    for mark in b"abc":
        wire.arrive(post(bytes([mark]) * EXPECTED_BYTES))
        asked[-1].answered(HttpResponse(), body_is_done=done)
    assert taken == ([*b"bc"] if done else [])
    assert len(asked) == wire.written.count(b"200 OK") == 3


@given(body=st.binary(max_size=9000), chunks=st.lists(st.integers(1, 9000), min_size=1, max_size=4), cut=st.integers(1))
def test_a_chunked_body_is_put_together(body: bytes, chunks: list[int], cut: int) -> None:
    """Whatever its chunks, and wherever they are cut."""
    stream = post(body, chunks=chunks)
    cut %= len(stream)
    assert bodies(asyncio.run(talk(stream[:cut], stream[cut:])).written) == [b"POST /a b=c " + body]


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 2 * MAX_HEAD_BYTES, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (post(bytes(MAX_BODY_BYTES + 1), chunks=[30_000]), 413),
    ],
)
async def test_what_is_no_request_is_refused_and_reaches_no_handler(stream: bytes, status: int) -> None:
    """The answer is an error in JSON, and says that the connection ends."""

    async def never(_: HttpRequest) -> HttpResponse:
        raise AssertionError

    wire = await talk(stream, handler=never)
    assert wire.written.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in wire.written
    assert b'{"error":"' in wire.written


async def test_a_client_that_goes_cancels_its_request() -> None:
    """Nobody works for nobody."""
    ended = asyncio.Event()

    async def slow(_: HttpRequest) -> HttpResponse:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return HttpResponse()

    connection, wire = connect(slow)
    wire.arrive(post(b"x"))
    await settle()
    connection.connection_lost(None)
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_stream_is_sent_in_chunks_and_waits_for_a_slow_client() -> None:
    """Parts go out as they come, but no faster than the client reads."""
    made = []

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"", b"three"):
            made.append(part)
            yield part

    async def handler(_: HttpRequest) -> HttpResponse:
        return HttpResponse(body=parts())

    connection, wire = connect(handler)
    connection.pause_writing()
    wire.arrive(post(b""))
    await settle()
    assert made == [b"one"]
    connection.resume_writing()
    await settle()
    assert wire.written.endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "closes"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
    ],
)
async def test_the_connection_is_kept_where_the_client_wants_that(request_: bytes, closes: bool) -> None:  # noqa: FBT001
    """As HTTP/1.1 says."""
    assert (await talk(request_)).closed is closes


async def test_a_client_that_asks_whether_to_go_on_is_told() -> None:
    """``Expect: 100-continue`` is answered before the body comes."""
    wire = await talk(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_head_has_no_body() -> None:
    """But the length that it would have."""
    wire = await talk(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"content-length: 9\r\n" in wire.written
    assert wire.written.endswith(b"\r\n\r\n")


async def test_a_client_that_sends_ahead_without_end_is_paused() -> None:
    """What is sent while a request is answered is kept, but only so much."""

    async def forever(_: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse()

    connection, wire = connect(forever)
    wire.arrive(post(b"x"))
    await settle()
    wire.arrive(bytes(2 * MAX_HEAD_BYTES))
    assert wire.paused
    connection.connection_lost(None)


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    """No answer can be split in two by what it says."""

    async def handler(_: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"x": "a\r\nb: c"})

    assert (await talk(post(b""), handler=handler)).written.startswith(b"HTTP/1.1 500 ")
