"""A handler as an ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from heterosis.serving.http.failures import too_large
from heterosis.serving.http.messages import Buffer, Handler, HttpRequest, HttpResponse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def asgi(handler: Handler, max_body_bytes: int) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """Wrap a handler. A body past the limit is refused unread; when the client goes, the handler is cancelled."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > max_body_bytes:
            await _send(too_large(int(announced), max_body_bytes), send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > max_body_bytes:
                await _send(too_large(len(body), max_body_bytes), send)
                return
        request = HttpRequest(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1").partition("?")[0],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=bytes(body),
        )
        await _answer(handler, request, receive, send)

    return application


async def _answer(handler: Handler, request: HttpRequest, receive: Receive, send: Send) -> None:
    """Run the handler and send its answer, or end it when the client goes."""

    async def work() -> None:
        await _send(await handler(request), send)

    working = asyncio.ensure_future(work())
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
        if not working.cancelled():
            working.result()
    finally:
        leaving.cancel()
        working.cancel()


async def _send(answer: HttpResponse, send: Send) -> None:
    body = answer.body
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    if isinstance(body, AsyncIterator):
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    headers.append((b"content-length", str(sum(map(len, body))).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    joined: Buffer = body[0] if len(body) == 1 else b"".join(body)
    await send({"type": "http.response.body", "body": joined})
