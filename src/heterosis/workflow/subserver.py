"""A server in a process of its own, for as long as it is needed."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from heterosis.terms.errors import UnavailableError

STOP_SECONDS = 40.0


class Subserver(NamedTuple):
    """A server that is ready."""

    url: str
    pid: int
    """Of the process that gateway and router are in."""


@contextmanager
def serving(file: str, options: Sequence[str]) -> Iterator[str]:
    """Run a `subserver` and give its URL once it is ready."""
    with subserver(file, options) as server:
        yield server.url


@contextmanager
def subserver(file: str, options: Sequence[str]) -> Iterator[Subserver]:
    """Run `heterosis serve FILE --port 0` with these options, until it is not needed any more."""
    serve = [sys.executable, "-m", "heterosis.cli", "serve", file]
    command = [*serve, "--port", "0", "--grpc-port", "none", "--json", "--quiet", *options]
    # Ctrl-C shall reach the load only: the server is stopped from here, after what is under way has ended.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101
        try:
            yield Subserver(_url(server.stdout.readline(), server), server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _url(line: bytes, server: "subprocess.Popen[bytes]") -> str:
    try:
        return str(msgspec.json.decode(line)["url"])
    except (msgspec.DecodeError, KeyError, TypeError):
        code = server.wait(STOP_SECONDS)
        raise UnavailableError(
            f"the server ended with exit code {code} before it was ready; it said why above"
        ) from None
