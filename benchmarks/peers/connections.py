"""A client's connection to a server, as cheap as Python makes it: bytes that were encoded once, over HTTP or gRPC."""

import asyncio
from collections.abc import Mapping
from typing import cast

import httptools

from benchmarks.peers.payloads import Target

PATIENCE_S = 60.0
OK = 200


class RequestError(Exception):
    """No answer, or one that is no success."""


class HttpConnection(asyncio.Protocol):
    """One connection of HTTP/1.1 that is kept open; where the server closes it, the next request opens another."""

    def __init__(self, port: int, target: Target) -> None:
        """Write the request down; nothing is sent yet."""
        self._port = port
        fields = {"Host": f"127.0.0.1:{port}", **target.headers, "Content-Length": str(len(target.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._request = f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode() + target.body
        self._transport: asyncio.WriteTransport | None = None
        self._done: asyncio.Future[bytes] | None = None

    async def ask(self) -> bytes:
        """Send the request; see `generator.Connection`."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError as error:
                raise RequestError(f"cannot connect: {error}") from None
            if self._transport is None:
                raise RequestError("the server closed the connection at once")
        self._done = loop.create_future()
        self._transport.write(self._request)
        timer = loop.call_later(PATIENCE_S, self._fail, f"no answer within {PATIENCE_S:g} s")
        try:
            return await self._done
        finally:
            timer.cancel()

    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer, in lower case."""
        return {name.decode().lower(): value.decode() for name, value in self._headers}

    async def close(self) -> None:
        """Disconnect."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to parse."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is of a kind of its own
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits has lost."""
        self._transport = None
        self._fail(f"the server closed the connection ({exc})")

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        body = b"".join(self._body)
        if self._parser.get_status_code() != OK:
            self._fail(f"status {self._parser.get_status_code()}: {body[:300].decode(errors='replace')}")
        elif self._done is not None and not self._done.done():
            self._done.set_result(body)

    def _fail(self, reason: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RequestError(reason))


class GrpcConnection:
    """One channel of its own; messages stay the bytes that they are."""

    def __init__(self, port: int, target: Target) -> None:
        """Open the channel."""
        import grpc.aio

        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._method = self._channel.unary_unary(target.path)
        self._body = target.body

    async def ask(self) -> bytes:
        """Send the request; see `generator.Connection`."""
        import grpc

        try:
            return bytes(await self._method(self._body, timeout=PATIENCE_S))
        except grpc.aio.AioRpcError as error:
            raise RequestError(f"{error.code().name}: {error.details()}") from None

    def headers(self) -> Mapping[str, str]:
        """None that anybody needs."""
        return {}

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
