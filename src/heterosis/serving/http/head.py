"""The head of a request, from its bytes: parsed by httptools, and remembered, as a client's heads are all alike."""

import contextlib
import functools
from collections.abc import Mapping

import httptools
import msgspec

REMEMBERED = 512
REMEMBERED_BYTES = 1024
"""Longer heads are parsed each time, so that what is remembered stays small."""


class MalformedError(Exception):
    """Bytes that are no HTTP/1.1; the message says why."""


class Head(msgspec.Struct, frozen=True):
    """What precedes a body. ``length`` is the body's; None where it comes in chunks."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    length: int | None
    keep_alive: bool
    expects_continue: bool


def parse_head(head: bytes) -> Head:
    """Parse a head with the empty line that ends it. Raise MalformedError."""
    return _remembered(head) if len(head) <= REMEMBERED_BYTES else _parse(head)


class BodyParser:
    """Takes the chunks of a body apart."""

    def __init__(self, head: bytes) -> None:
        """Begin after this head."""
        self.parts: list[bytes] = []
        self.complete = False
        self.surplus = False
        """Whether more followed in the same bytes: it is not kept, so the connection cannot go on."""
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(head)

    def feed(self, data: bytes) -> None:
        """Take what has come. Raise MalformedError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise MalformedError(str(error)) from None

    def on_message_begin(self) -> None:
        """One message is all that is taken."""
        self.surplus = self.complete

    def on_body(self, data: bytes) -> None:
        """Keep a part."""
        if not self.surplus:
            self.parts.append(data)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self.complete = True


class _Collector:
    """Collects what the parser calls out."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.keep_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()  # it forgets this with the end of the message


def _parse(head: bytes) -> Head:
    collected = _Collector()
    parser = collected.parser
    try:
        with contextlib.suppress(httptools.HttpParserUpgrade):  # an upgrade may be left alone, and is
            parser.feed_data(head)
        url = httptools.parse_url(collected.url)
    except httptools.HttpParserError as error:
        raise MalformedError(str(error)) from None
    headers = collected.headers
    modern = parser.get_http_version() == "1.1"
    chunked = "transfer-encoding" in headers
    if not chunked and not headers.get("content-length", "0").isdecimal():
        raise MalformedError("two lengths of content")
    return Head(
        method=parser.get_method().decode("latin-1"),
        path=(url.path or b"/").decode("latin-1"),
        query=(url.query or b"").decode("latin-1"),
        headers=headers,
        length=None if chunked else int(headers.get("content-length", "0")),
        keep_alive=modern and collected.keep_alive,
        expects_continue=modern and headers.get("expect", "").lower() == "100-continue",
    )


_remembered = functools.lru_cache(REMEMBERED)(_parse)
