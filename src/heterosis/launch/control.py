"""What a launcher and the worker processes that it started tell each other: one line of JSON each.

The channel is the worker process' standard input, which is a socket: no other process can read what is said there,
tokens for one, and its end tells either side that the other is gone.
"""

from collections.abc import Callable

import msgspec


class Join(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Launcher: become this instance of the router that listens at this address; the token proves that you may."""

    address: str
    instance: str
    token: str


class Leave(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Launcher: end this instance, and go on with the others."""

    instance: str


class Left(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker process: this instance has ended, for this reason."""

    instance: str
    reason: str


class Offer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker from outside: I have this variant, and wait to be asked; the server's token proves that I may."""

    token: str
    worker: str
    """Its own name, for people; unique among those that have joined."""
    stage: str
    digest: str
    """Of the variant."""
    device_type: str
    threads: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Server: what you offer is not wanted, for this reason."""

    reason: str


ToProcess = Join | Leave | Refused
FromProcess = Left | Offer


def encode_line(message: ToProcess | FromProcess) -> bytes:
    """Write a message as a line."""
    return msgspec.json.encode(message) + b"\n"


decode_order: Callable[[bytes], ToProcess] = msgspec.json.Decoder(ToProcess).decode
"""Reads a line that a launcher wrote."""

decode_news: Callable[[bytes], FromProcess] = msgspec.json.Decoder(FromProcess).decode
"""Reads a line that a worker process wrote."""
