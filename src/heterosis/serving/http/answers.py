"""The head of an answer, as bytes."""

import functools
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

REMEMBERED = 256
"""Heads that are written but once: answers of a model are mostly alike."""

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


@functools.lru_cache(REMEMBERED)
def head_of(status: int, headers: tuple[tuple[str, str], ...], length: int | None, keep_alive: bool) -> bytes:  # noqa: FBT001
    """Write a head; ``length`` is the body's, None where it comes in chunks. Raise ValueError for what is no header."""
    lines = [_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"]
    for name, value in headers:
        if "\n" in value or "\r" in value:
            raise ValueError(f"the value of the header {name} has a line break")
        lines += (name, ": ", value, "\r\n")
    lines += ("transfer-encoding: chunked\r\n",) if length is None else ("content-length: ", str(length), "\r\n")
    lines.append("\r\n" if keep_alive else "connection: close\r\n\r\n")
    return "".join(lines).encode("latin-1")


def chunk(part: bytes | memoryview) -> list[bytes | memoryview]:
    """Write a part of a body that comes in chunks."""
    return [b"%x\r\n" % len(part), part, b"\r\n"]
