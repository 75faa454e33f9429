"""An HTTP/1.1 server of one handler, on asyncio's transports."""

import asyncio
import socket

from heterosis.serving.http.connection import HttpConnection
from heterosis.serving.http.messages import Handler
from heterosis.serving.http.rooms import Heap, Rooms
from heterosis.serving.rhythm import next_beat

IDLE_S = 75.0
"""How long a connection may be open without a whole request."""
SWEEP_S = 5.0
BACKLOG = 2048


class HttpServer:
    """Listens, and closes in order: what is under way is answered."""

    def __init__(self, handler: Handler, max_body_bytes: int, rooms: Rooms | None = None) -> None:
        """Serve nothing yet."""
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.rooms = Heap() if rooms is None else rooms
        self.closing = False
        self.connections: set[HttpConnection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raise OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpConnection(self), host, port, backlog=BACKLOG)
        self._sweeper = loop.create_task(self._sweep())

    @property
    def url(self) -> str:
        """Where the server listens, with the port that it really got."""
        assert self._server is not None  # noqa: S101
        listening: socket.socket = self._server.sockets[0]
        host, port = listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Accept no more, answer what is under way for so long, and close."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + grace_s
        while self.connections and loop.time() < give_up:
            for connection in list(self.connections):
                if connection.idle:
                    connection.close()
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()

    async def _sweep(self) -> None:
        """Close connections on which nothing happens."""
        loop = asyncio.get_running_loop()
        while True:
            await next_beat(SWEEP_S)
            for connection in list(self.connections):
                if connection.waiting and connection.since < loop.time() - IDLE_S:
                    connection.close()
