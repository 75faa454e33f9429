"""Compressed bodies: unfolded within bounds, or refused."""

import gzip
import zlib

import pytest

from heterosis.serving.http.compression import unfolded
from heterosis.terms.errors import InvalidInputError, TooLargeError


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(b"text")), ("GZIP ", gzip.compress(b"text")), ("deflate", zlib.compress(b"text"))],
)
def test_what_was_compressed_is_unfolded(coding: str, body: bytes) -> None:
    """By both codings that clients use."""
    assert unfolded(body, {"content-encoding": coding}, 4) == b"text"


def test_most_bodies_are_left_alone() -> None:
    """Not even copied."""
    body = b"text"
    assert unfolded(body, {}, 1) is body
    assert unfolded(body, {"content-encoding": "identity"}, 1) is body


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"text"),
        ("gzip", gzip.compress(b"text")[:-1]),
        ("gzip", gzip.compress(b"text") + b"more"),
        ("deflate", gzip.compress(b"text")),
        ("br", b"text"),
    ],
)
def test_what_is_not_as_announced_is_refused(coding: str, body: bytes) -> None:
    """Other data, cut data, more data, another coding."""
    with pytest.raises(InvalidInputError):
        unfolded(body, {"content-encoding": coding}, 1000)


def test_a_bomb_is_refused_before_it_bursts() -> None:
    """A hundred megabytes of nothing, in a hundred kilobytes."""
    with pytest.raises(TooLargeError):
        unfolded(gzip.compress(bytes(100 << 20), 1), {"content-encoding": "gzip"}, 1 << 20)
