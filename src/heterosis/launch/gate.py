"""Workers from outside: processes that nobody here started, which come over TCP and offer a variant that they have.

Such a *guest* proves with a token that it may, and is then asked like any process that a launcher has started. The
token, and what is asked, travel in the clear: across hosts, use a network that is yours, or a tunnel.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from heterosis.launch.control import Join, Leave, Left, Offer, Refused, ToProcess, decode_news, encode_line
from heterosis.launch.launcher import Ended, Launcher
from heterosis.terms import Placement, Variant
from heterosis.terms.errors import HeterosisError

log = structlog.get_logger()

OUTSIDE = "outside"
"""The device of what runs at a guest; its node is the guest's name."""

LINE_BYTES = 16 << 10
OFFER_S = 10.0
"""Who says nothing for so long has nothing to offer."""
LEAVE_S = 5.0
MOST_GUESTS = 256


@dataclass(slots=True)
class _Guest:
    """A worker from outside, with the instances in it that are not gone."""

    writer: asyncio.StreamWriter
    instances: dict[str, tuple[Ended, asyncio.Event]] = field(default_factory=dict)

    def say(self, message: ToProcess) -> None:
        if not self.writer.is_closing():
            self.writer.write(encode_line(message))

    def gone(self, instance: str, reason: str) -> None:
        ended, event = self.instances.pop(instance)
        event.set()
        ended(instance, reason)


class Gate:
    """A launcher that has guests, too: what is placed on a node of a guest's name runs there, all else as before."""

    def __init__(self, local: Launcher, token: str) -> None:
        """Let in whoever knows the token."""
        self._local = local
        self._token = token
        self._guests: dict[str, _Guest] = {}
        self._server: asyncio.Server | None = None
        self._address = ""
        """Where guests find the router."""

    async def listen(
        self,
        address: str,
        router_address: str,
        come: Callable[[Offer], Coroutine[Any, Any, None]],
        left: Callable[[str], Coroutine[Any, Any, None]],
    ) -> str:
        """Wait for guests at ``tcp://host:port``; return where, with the port that it really got.

        ``come`` puts to use what a guest offers, or raises what says why not; ``left`` hears of guests that are gone.
        """
        self._address = router_address
        parts = urlsplit(address)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._host(reader, writer, come, left)
            finally:
                writer.close()

        self._server = await asyncio.start_server(serve, parts.hostname, parts.port or 0, limit=LINE_BYTES)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"tcp://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self, placement: Placement, variant: Variant, address: str, token: str, ended: Ended) -> None:
        """Ask the guest that a placement names; start anything else here. See `Launcher`."""
        guest = self._guests.get(placement.node)
        if placement.device == OUTSIDE and guest is None:
            ended(placement.instance, f"worker {placement.node} is gone")
            return
        if guest is None:
            await self._local.start(placement, variant, address, token, ended)
            return
        guest.instances[placement.instance] = (ended, asyncio.Event())
        guest.say(Join(address=self._address, instance=placement.instance, token=token))

    async def stop(self, instance: str) -> None:
        """Have a guest end an instance; where it does not, hang up."""
        for guest in self._guests.values():
            if instance in guest.instances:
                break
        else:
            await self._local.stop(instance)
            return
        _, gone = guest.instances[instance]
        guest.say(Leave(instance=instance))
        try:
            await asyncio.wait_for(gone.wait(), LEAVE_S)
        except TimeoutError:
            guest.writer.close()

    def pids(self) -> dict[str, int]:
        """See `Launcher`: those of guests are not known here."""
        return self._local.pids()

    def close(self) -> None:
        """Let nobody in any more, and send the guests home."""
        if self._server is not None:
            self._server.close()
        for guest in self._guests.values():
            guest.writer.close()

    async def _host(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        come: Callable[[Offer], Coroutine[Any, Any, None]],
        left: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        offer = await self._offer(reader, writer)
        if offer is None:
            return
        guest = self._guests[offer.worker] = _Guest(writer)
        reason = "its connection closed"
        coming = asyncio.create_task(come(offer))
        coming.add_done_callback(lambda task: self._told(task, guest, offer))
        try:
            async for line in reader:
                news = decode_news(line)
                if isinstance(news, Left) and news.instance in guest.instances:
                    guest.gone(news.instance, f"worker {offer.worker} ended it: {news.reason}")
        except (OSError, ValueError, msgspec.DecodeError) as error:  # ValueError: a line that is too long
            reason = f"its connection failed: {error}"
        finally:
            log.info("worker left", worker=offer.worker, reason=reason)
            del self._guests[offer.worker]
            await _ended(coming)
            # First out of the plan, so that nobody tries to start them again.
            leaving = asyncio.create_task(left(offer.worker))
            await asyncio.sleep(0)
            for instance in list(guest.instances):
                guest.gone(instance, f"worker {offer.worker} is gone: {reason}")
            await _ended(leaving, cancel=False)

    async def _offer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Offer | None:
        """Read what a stranger offers; None, once that is told, where it may not come in."""
        try:
            offer = decode_news(await asyncio.wait_for(reader.readline(), OFFER_S))
        except (TimeoutError, ValueError, OSError, msgspec.DecodeError):
            offer = None
        known = isinstance(offer, Offer) and hmac.compare_digest(offer.token.encode(), self._token.encode())
        if not isinstance(offer, Offer) or not known:
            log.warning("turned a worker away", peer=str(writer.get_extra_info("peername")))
            reason = "the token is not the server's"
        elif offer.worker in self._guests or len(self._guests) >= MOST_GUESTS:
            reason = f"there is a worker called {offer.worker!r} already, or there are too many"
        else:
            return offer
        writer.write(encode_line(Refused(reason=reason)))
        with contextlib.suppress(OSError):
            await writer.drain()
        return None

    @staticmethod
    def _told(task: "asyncio.Task[None]", guest: _Guest, offer: Offer) -> None:
        """Tell a guest why it is not wanted, and hang up."""
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        reason = str(error) if isinstance(error, HeterosisError) else f"the server failed: {error!r}"
        log.warning("refused a worker", worker=offer.worker, stage=offer.stage, reason=reason)
        guest.say(Refused(reason=reason))
        guest.writer.close()


async def _ended(task: "asyncio.Task[None]", *, cancel: bool = True) -> None:
    if cancel:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError, HeterosisError):
        await task
