"""Where what is written to a connection goes out."""

import asyncio
import contextlib
import os


class Outlet:
    """Writes to a connection's socket at once what its kernel takes, and leaves the rest to the transport.

    A transport may write what it is given in a turn of the loop when that ends. Who reads would begin the later, and to
    remember it for so long costs more than to ask the kernel.
    """

    __slots__ = ("_file", "_transport")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        """Write to this connection; one without a socket has all from its transport."""
        self._transport = transport
        connection = transport.get_extra_info("socket")
        self._file: int | None = None if connection is None else connection.fileno()

    def write(self, data: bytes) -> None:
        """Write behind all that was written before; what is written to a connection that closes is lost."""
        transport = self._transport
        if transport.is_closing():  # its file may be another's by now
            return
        sent = 0
        if self._file is not None and not transport.get_write_buffer_size():
            with contextlib.suppress(OSError):  # the kernel takes nothing now, or the transport will find out why
                sent = os.write(self._file, data)
        if sent < len(data):
            transport.write(memoryview(data)[sent:] if sent else data)
