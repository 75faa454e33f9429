"""A real server for tests: gateway on a port, router, worker processes; only the plan is made by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.launch.local import LocalLauncher
from heterosis.pipeline import FUNCTION, load_pipeline
from heterosis.scheduling import Record
from heterosis.serving.bodies import BodyMemory
from heterosis.serving.metrics import Metrics
from heterosis.serving.models import Servable
from heterosis.serving.power import PowerModes
from heterosis.serving.repository import FixedSource, Repository, Source
from heterosis.serving.router import Router
from heterosis.serving.server import Http, Options, gateway_of, serving_grpc
from heterosis.serving.transport import SharedMemory
from heterosis.terms import UNKNOWN, Energy, Plan
from heterosis.testing import make_plan, make_variant

TOY = str(Path(__file__).with_name("toy_pipeline.py"))


class NoMeter:
    """Knows nothing of energy."""

    period_s = 1.0

    def read(self) -> dict[str, Energy]:
        """Report the unknown as such."""
        return {"idle": UNKNOWN, "dynamic": UNKNOWN}

    def cpu_seconds(self) -> float:
        """Count nothing."""
        return 0.0


class Server(msgspec.Struct):
    """A server under test."""

    url: str
    repository: Repository
    router: Router
    launcher: LocalLauncher
    records: list[Record]
    model: Any = None
    """The one that was asked for, whether it is loaded or not."""
    grpc: str = ""
    """Where it listens for gRPC, if it does."""


Serve = Callable[..., contextlib.AbstractAsyncContextManager[Server]]


def toy_plan(**changes: Any) -> Plan:
    """Plan the toy pipeline on two slots."""
    variants = {stage: make_variant(stage, model=FUNCTION, engine=FUNCTION) for stage in ("scale", "nap")}
    return make_plan({"scale": 1.0, "nap": 20.0}, **{"slo_ms": 2000.0, "variants": variants, **changes})


@contextlib.asynccontextmanager
async def serve(
    folder: Path, plan: Plan, *, target: str = TOY, wait: bool = True, **options: Any
) -> AsyncIterator[Server]:
    """Serve a pipeline, by default the toy, under a plan."""
    pipeline = load_pipeline(target)
    servable = Servable(pipeline=pipeline, target=target, plan=plan, warm_up=lambda *_: ())
    async with serve_source(folder, FixedSource(servable), **options) as server:
        loading = asyncio.create_task(server.repository.load(pipeline.name))
        while not (server.repository.models() or loading.done()):  # noqa: ASYNC110 - as soon as the task has begun
            await asyncio.sleep(0)
        if loading.done():
            await loading  # say why it failed
        server.model = server.repository.get(pipeline.name)
        if wait:
            await loading
        yield server
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)


@contextlib.asynccontextmanager
async def serve_source(
    folder: Path, source: Source, *, power_modes: PowerModes | None = None, **options: Any
) -> AsyncIterator[Server]:
    """Serve models, none of which is loaded yet."""
    records: list[Record] = []
    launcher = LocalLauncher()
    router = Router(launcher, record=records.append, power_modes=power_modes)
    repository = Repository(router, source)
    asked = Options(port=0, **{"grpc_port": None, **options})
    gateway = gateway_of(repository, Metrics(repository, NoMeter()), asked)
    memory = SharedMemory()
    http = Http(gateway, asked, BodyMemory(memory))
    await router.start(f"unix://{folder}/router", memory)
    task = asyncio.create_task(http.serve())
    while not http.started:  # noqa: ASYNC110 - it is soon
        await asyncio.sleep(0.01)
    try:
        async with serving_grpc(gateway, asked) as grpc:
            yield Server(http.url, repository, router, launcher, records, grpc=grpc or "")
            http.begin_stop()
            await task
    finally:
        await router.stop()
        gateway.close()


@pytest.fixture
def serving(tmp_path: Path) -> Serve:
    """Serve under a plan, by default the toy's."""

    def start(plan: Plan | None = None, **options: Any) -> contextlib.AbstractAsyncContextManager[Server]:
        return serve(tmp_path, plan or toy_plan(), **options)

    return start
