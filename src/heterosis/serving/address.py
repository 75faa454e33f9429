"""Where a server listens."""

import socket

from heterosis.terms.errors import UsageError

HIGHEST_PORT = 65535


def check_address(host: str, port: int) -> None:
    """Raise UsageError where nothing can listen at an address: better now than after minutes of planning."""
    if not 0 <= port <= HIGHEST_PORT:  # the system would take it modulo 65536
        raise UsageError(f"cannot listen on port {port}; ports are 1..{HIGHEST_PORT}, and 0 takes any that is free")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}, port {port}: {error}; port 0 takes any that is free") from None
