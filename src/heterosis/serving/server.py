"""A server: gateway, repository, router and workers, from start to drained stop."""

import asyncio
import contextlib
import ipaddress
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import structlog

from heterosis.control.canary import Trial
from heterosis.launch import Launcher
from heterosis.launch.gate import Gate
from heterosis.launch.local import LocalLauncher
from heterosis.scheduling import Record
from heterosis.serving import garbage, pages
from heterosis.serving.adaptation import Adaptation
from heterosis.serving.bodies import BodyMemory
from heterosis.serving.gateway import MAX_BODY_BYTES, NAME, Gateway, http_handler
from heterosis.serving.guests import welcoming
from heterosis.serving.http import HttpServer
from heterosis.serving.http.rooms import Rooms
from heterosis.serving.journal import Journal
from heterosis.serving.metrics import Meter, Metrics
from heterosis.serving.power import PowerModes
from heterosis.serving.repository import Repository, Source
from heterosis.serving.rhythm import next_beat
from heterosis.serving.router import Router
from heterosis.serving.status import StatusBoard
from heterosis.serving.transport import SharedMemory
from heterosis.terms.errors import UsageError

log = structlog.get_logger()

TRIM_PERIOD_S = 2.5
"""How long memory lies idle, at the least, before it goes back to the system."""
T = TypeVar("T")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve. Loopback only, unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = 8001
    """None for no gRPC."""
    name: str = NAME
    """What clients are told that the server is."""
    max_body_bytes: int = MAX_BODY_BYTES
    grace_s: float = 30.0
    journal: Path | None = None
    workers_at: str = ""
    """Where workers from outside may join, ``tcp://host:port``; nowhere by default."""
    token: str = ""
    """What they prove with that they may."""
    trial: Trial | None = None
    """How a version that replaces one that is served is tried first."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens, with the ports that it really got."""

    url: str
    grpc: str | None = None
    """``host:port``."""
    workers: str | None = None
    """Where workers from outside may join."""


async def serve(
    source: Source,
    meter: Meter,
    *,
    options: Options,
    power_modes: PowerModes | None = None,
    launcher: Launcher | None = None,
    adaptation: Adaptation | None = None,
    on_ready: Callable[[Listening], object] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then answer what is in progress and stop.

    What ``source`` lists is loaded; ``on_ready`` is told where the server listens once that has been done. A model that
    cannot be loaded is reported, and the others are served; raise what says why where none can. From then on
    ``adaptation`` watches, and changes plans.
    """
    async with contextlib.AsyncExitStack() as stack:
        records: list[Callable[[Record], object]] = []
        if options.journal is not None:
            journal = stack.enter_context(contextlib.closing(Journal(options.journal)))
            records.append(journal.write)
        if adaptation is not None:
            records.append(adaptation.observe)
        gate = Gate(launcher or LocalLauncher(), options.token) if options.workers_at else None
        router = Router(gate or launcher or LocalLauncher(), record=_each(records), power_modes=power_modes)
        repository = Repository(router, source, options.trial)
        stack.callback(repository.close)
        metrics = Metrics(repository, meter)
        folder = tempfile.mkdtemp(prefix="heterosis-")  # readable by this user alone
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        gateway = gateway_of(repository, metrics, options, StatusBoard(repository, metrics, adaptation))
        stack.callback(gateway.close)
        memory = SharedMemory()
        stack.callback(memory.close)
        bodies = BodyMemory(memory)
        http = Http(gateway, options, bodies)
        stack.push_async_callback(router.stop)
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(stop, http.begin_stop)
            stack.callback(loop.remove_signal_handler, stop)
        await router.start(f"unix://{folder}/router", memory)
        grpc = await stack.enter_async_context(serving_grpc(gateway, options))
        await stack.enter_async_context(_beside(_read(metrics), "the meter was read no more"))
        await stack.enter_async_context(_beside(_trim(bodies), "memory that lay idle was kept"))
        serving = asyncio.create_task(http.serve())
        loading = asyncio.create_task(_load(repository, source))
        await asyncio.wait((serving, loading), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            if loading.exception() is None:
                if adaptation is not None:
                    loop_ended = "the loop ended early: the plan stayed as it was"
                    await stack.enter_async_context(_beside(adaptation.run(router), loop_ended))
                workers = None
                if gate is not None:
                    workers = await stack.enter_async_context(
                        welcoming(
                            gate, router, options.workers_at, adaptation if adaptation and adaptation.decides else None
                        )
                    )
                garbage.settle()
                pages.collapse()
                on_ready(Listening(url=http.url, grpc=grpc, workers=workers))
            else:
                http.begin_stop()
        else:
            loading.cancel()
        await serving
        with contextlib.suppress(asyncio.CancelledError):
            await loading


def _each(records: Sequence[Callable[[Record], object]]) -> Callable[[Record], object] | None:
    """Call all of them; nothing where there is none, since that is cheaper."""
    if len(records) <= 1:
        return records[0] if records else None

    def record(step: Record) -> None:
        for each in records:
            each(step)

    return record


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], failed: str) -> AsyncIterator[None]:
    """Let something run beside what is inside; where it ``failed``, say what that meant."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception(failed)


def gateway_of(repository: Repository, metrics: Metrics, options: Options, board: StatusBoard | None = None) -> Gateway:
    """Make the gateway. Shared memory is for clients on this host, so only a server that no other can reach has it."""
    return Gateway(
        repository,
        metrics,
        name=options.name,
        shared_memory=is_loopback(options.host),
        max_body_bytes=options.max_body_bytes,
        board=board,
    )


def is_loopback(host: str) -> bool:
    """Whether only this host can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.asynccontextmanager
async def serving_grpc(gateway: Gateway, options: Options) -> AsyncIterator[str | None]:
    """Serve gRPC, if that is asked for; give where, as ``host:port``. At the end, answer what is in progress."""
    if options.grpc_port is None:
        yield None
        return
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # children of this process run programs of their own
    from heterosis.serving.gateway.grpc import GrpcServer

    server = GrpcServer(gateway, host=options.host, port=options.grpc_port, max_message_bytes=options.max_body_bytes)
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop(options.grace_s)


async def _load(repository: Repository, source: Source) -> None:
    names = list(source.listed())
    ended = await asyncio.gather(*(repository.load(name) for name in names), return_exceptions=True)
    errors = [error for error in ended if isinstance(error, BaseException)]
    if len(errors) == len(names):
        raise errors[0] if errors else UsageError("there is no model to serve")
    for name, error in zip(names, ended, strict=True):
        if error is not None:
            log.error("model not loaded", model=name, reason=str(error))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `serve`, or anything around it, on the fastest event loop that there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


class Http(HttpServer):
    """The gateway over HTTP, told to refuse new requests while it answers those in progress."""

    def __init__(self, gateway: Gateway, options: Options, rooms: Rooms | None = None) -> None:
        """Set up; `url` is known once it has `started`. ``rooms`` are where bodies lie."""
        super().__init__(http_handler(gateway), options.max_body_bytes, rooms)
        self.started = False
        self._gateway = gateway
        self._options = options
        self._stop = asyncio.Event()
        self._force = asyncio.Event()

    async def serve(self) -> None:
        """Serve until `begin_stop`, then answer what is in progress."""
        await self.start(self._options.host, self._options.port)
        self.started = True
        await self._stop.wait()
        stopping = asyncio.create_task(self.stop(self._options.grace_s))
        forced = asyncio.create_task(self._force.wait())
        await asyncio.wait((stopping, forced), return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if not stopping.done():
            stopping.cancel()
            await self.stop(0)

    def begin_stop(self) -> None:
        """Stop accepting, answer what is in progress; at the second time of asking, leave that too."""
        if self._stop.is_set():
            self._force.set()
        self._gateway.draining = True
        self._stop.set()


async def _read(metrics: Metrics) -> NoReturn:
    """Read the meter regularly."""
    while True:
        await metrics.read_meter()
        await next_beat(metrics.period_s)


async def _trim(bodies: BodyMemory) -> NoReturn:
    """Let go regularly of the memory that requests have left behind."""
    while True:
        await next_beat(TRIM_PERIOD_S)
        bodies.trim()
