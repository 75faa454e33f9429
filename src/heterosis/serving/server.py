"""A server: gateway, router and workers of one pipeline, from start to drained stop."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvicorn

from heterosis.launch import LocalLauncher
from heterosis.pipeline import Pipeline
from heterosis.serving.gateway import Gateway, http_handler
from heterosis.serving.http import asgi
from heterosis.serving.journal import Journal
from heterosis.serving.metrics import Meter, Metrics
from heterosis.serving.router import Router, WarmUp
from heterosis.terms import Plan

METER_PERIOD_S = 1.0
MAX_BODY_BYTES = 64 << 20
T = TypeVar("T")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve. Loopback only, unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8000
    max_body_bytes: int = MAX_BODY_BYTES
    grace_s: float = 30.0
    journal: Path | None = None


async def serve(
    pipeline: Pipeline,
    target: str,
    plan: Plan,
    meter: Meter,
    *,
    warm_up: WarmUp,
    options: Options,
    on_ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then answer what is in progress and stop.

    ``target`` is where workers load the pipeline from; ``on_ready`` is called with the server's URL once every instance
    is warm. Raise UnavailableError where an instance cannot load.
    """
    async with contextlib.AsyncExitStack() as stack:
        record = None
        if options.journal is not None:
            journal = stack.enter_context(contextlib.closing(Journal(options.journal)))
            record = journal.write
        router = Router(pipeline, target, plan, LocalLauncher(), warm_up=warm_up, record=record)
        folder = tempfile.mkdtemp(prefix="heterosis-")  # readable by this user alone
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        gateway = Gateway(router, Metrics(router, meter))
        http = Http(gateway, options)
        stack.push_async_callback(router.stop)
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(stop, http.begin_stop)
            stack.callback(loop.remove_signal_handler, stop)
        await router.start(f"ipc://{folder}/router")
        await stack.enter_async_context(_reading(meter))
        serving = asyncio.create_task(http.serve())
        warming = asyncio.create_task(router.wait_ready())
        await asyncio.wait((serving, warming), return_when=asyncio.FIRST_COMPLETED)
        if warming.done():
            if warming.exception() is None:
                on_ready(http.url)
            else:
                http.should_exit = True
        else:
            warming.cancel()
        await serving
        with contextlib.suppress(asyncio.CancelledError):
            await warming


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `serve`, or anything around it, on the fastest event loop that there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


class Http(uvicorn.Server):
    """uvicorn, told to refuse new requests while it answers those in progress."""

    def __init__(self, gateway: Gateway, options: Options) -> None:
        """Set up; `url` is known once it serves."""
        super().__init__(
            uvicorn.Config(
                asgi(http_handler(gateway), options.max_body_bytes),
                host=options.host,
                port=options.port,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                backlog=2048,
                timeout_graceful_shutdown=max(1, round(options.grace_s)),
            )
        )
        self._gateway = gateway

    @property
    def url(self) -> str:
        """Where the server listens, with the port that it really got."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def begin_stop(self) -> None:
        """Stop accepting, answer what is in progress; at the second time of asking, leave that too."""
        self.force_exit = self.should_exit
        self.should_exit = self._gateway.draining = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`: workers have to be stopped too."""
        yield


@contextlib.asynccontextmanager
async def _reading(meter: Meter) -> AsyncIterator[None]:
    """Read the meter regularly, so that the CPU time of a worker that dies is not lost with it."""

    async def read() -> None:
        while True:
            meter.read()
            await asyncio.sleep(METER_PERIOD_S)

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
