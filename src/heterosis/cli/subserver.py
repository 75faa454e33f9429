"""A server in a process of its own, for as long as it is needed."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from heterosis.terms.errors import UnavailableError

STOP_SECONDS = 40.0


@contextmanager
def serving(file: str, options: Sequence[str]) -> Iterator[str]:
    """Run `heterosis serve FILE --port 0` with these options, and give its URL once it is ready."""
    serve = [sys.executable, "-m", "heterosis.cli", "serve", file]
    command = [*serve, "--port", "0", "--grpc-port", "none", "--json", "--quiet", *options]
    # Ctrl-C shall reach the load only: the server is stopped from here, after what is under way has ended.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101
        try:
            yield _url(server.stdout.readline(), server)
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
