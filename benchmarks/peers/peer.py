"""What is to be known of a server that we compare with."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Literal

import msgspec

from benchmarks.peers.payloads import Form

Protocol = Literal["binary", "json", "grpc"]

ENGINE = (f"onnxruntime=={version('onnxruntime')}", "numpy")
"""The engine, the same release for all."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A server. ``programs/NAME_server.py`` serves a model with it, as `programs.engine` says.

    ``packages`` are what pip installs, pinned; none for ourselves. ``forms`` are the protocols that it speaks; binary
    is the cheapest way that its users have to send bytes. ``batched`` are those over which it batches across requests.
    """

    name: str
    packages: tuple[str, ...]
    forms: Mapping[Protocol, Form]
    batched: tuple[Protocol, ...] = ("binary", "json", "grpc")
    start_seconds: float = 60.0
    environment: Mapping[str, str] = {}
