"""A worker that joins a server from outside, with a variant that was packed."""

import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from heterosis.launch.control import Offer, encode_line
from heterosis.packing.manifest import Manifest
from heterosis.serving.host import Host
from heterosis.terms.errors import UnavailableError, UsageError

RETRY_S = 0.5


def be_guest(folder: Path, manifest: Manifest, address: str, token: str, name: str, patience_s: float) -> None:
    """Join a server, and work for it until it hangs up.

    The server may not be there yet: that is waited for, for ``patience_s``. Raise UnavailableError where nobody is
    there then, UsageError, with the server's reason, where it has no use for this worker.
    """
    parts = urlsplit(address)
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        raise UsageError(f"a server is joined at tcp://HOST:PORT, not at {address!r}")
    with _connect(parts.hostname, parts.port, patience_s) as channel:
        offer = Offer(
            token=token,
            worker=name,
            stage=manifest.stage,
            digest=manifest.variant.digest,
            device_type=manifest.device_type,
            threads=manifest.threads,
        )
        channel.sendall(encode_line(offer))
        host = Host(
            channel,
            adapt=lambda assignment: manifest.adapted(folder, assignment),
            # The server may listen at all its addresses; the one that we have reached is as good as any.
            reach=lambda router: f"tcp://{_bracketed(parts.hostname or '')}:{urlsplit(router).port}",
        )
        host.run()
    if host.refused:
        raise UsageError(f"{address} refuses this worker: {host.refused}")


def _connect(host: str, port: int, patience_s: float) -> socket.socket:
    ends = time.monotonic() + patience_s
    while True:
        try:
            channel = socket.create_connection((host, port), timeout=max(1.0, patience_s))
        except OSError as error:
            if time.monotonic() >= ends:
                raise UnavailableError(f"nobody lets workers in at {host}, port {port}: {error}") from None
            time.sleep(RETRY_S)
        else:
            channel.settimeout(None)
            print(f"joining {host}, port {port}", file=sys.stderr, flush=True)  # noqa: T201 - a program of its own
            return channel


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
