"""Large requests to plain models, split over instances: with real models for what they answer, emulated for when."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton

from heterosis.launch.local import LocalLauncher
from heterosis.pipeline.model import STAGE, ModelPipeline
from heterosis.scheduling import RunBatch, SplitCall, validate
from heterosis.scheduling.estimates import Estimates
from heterosis.serving.models import Servable
from heterosis.serving.repository import FixedSource
from heterosis.serving.router import OpenCall, Router
from heterosis.serving.values import decode, encode
from heterosis.simulation import replay
from heterosis.terms import Call, Plan, TensorSpec
from heterosis.terms.errors import DeadlineError, RefusedError, StageError
from heterosis.testing import Kind, as_emulated, make_latency, make_mixed_plan, make_plan, make_variant, write_emulated
from heterosis.testing.onnx_models import write_simple, write_simple_string
from tests.serving.conftest import Server, serve_source

ROWS = 64
TIMEOUT_S = 30.0
"""Too short for all rows on one instance, by what the plan says, and long enough for half of them."""

Values = dict[str, np.ndarray[Any, Any]]
Client = Callable[[Server, Values], Values]


def serving(
    folder: Path, write: Callable[[Path], Path], plan: Plan | None = None, *, base_ms: float = 1000.0, **options: Any
) -> Any:
    """Serve a model on two instances, by a plan that thinks it far slower than it is."""
    path = write(folder / "sums.onnx")
    if plan is None:
        variant = make_variant(STAGE, model=path.stem, engine="onnxruntime", artifact=str(path))
        plan = make_plan({STAGE: base_ms}, max_batch=8, slo_ms=1e6, variants={STAGE: variant}, pipeline="sums")
    pipeline = ModelPipeline(path, "sums", slo=plan.slo, batched=True)
    servable = Servable(pipeline=pipeline, target=str(path), plan=plan, warm_up=lambda *_: ())

    @contextlib.asynccontextmanager
    async def served() -> Any:
        async with serve_source(folder, FixedSource(servable), **options) as server:
            await server.repository.load("sums")
            server.model = server.repository.get("sums")
            yield server

    return served()


def numbers(rows: int = ROWS) -> Values:
    """Two tensors, no row of which is like another."""
    first = np.arange(rows * 16, dtype=np.int32).reshape(rows, 16)
    return {"INPUT0": first, "INPUT1": first[::-1].copy()}


def as_text(values: Values) -> Values:
    """The same numbers, written."""
    return {name: array.astype(str).astype(object) for name, array in values.items()}


def parts_run(server: Server) -> list[str]:
    """The calls that were sent to instances."""
    return [call for each in server.records for run in each.effects if isinstance(run, RunBatch) for call in run.calls]


def nothing_is_left(server: Server) -> bool:
    """Whether nobody holds anything of the requests that there were."""
    router = server.router
    validate(router.scheduler)
    return not (router._calls or router._parts or router.scheduler.requests)  # noqa: SLF001


def by_http(server: Server, values: Values, timeout_s: float = TIMEOUT_S) -> Values:
    """Ask with Triton's client, in binary form."""
    client = triton.InferenceServerClient(server.url.removeprefix("http://"), network_timeout=60)
    return asked(triton, client, values, timeout_s)


def by_grpc(server: Server, values: Values) -> Values:
    """Ask with Triton's client for gRPC."""
    return asked(triton_grpc, triton_grpc.InferenceServerClient(server.grpc), values)


def asked(kind: Any, client: Any, values: Values, timeout_s: float = TIMEOUT_S) -> Values:
    """Send a request that leaves no single instance enough time."""
    tensors = []
    for name, array in values.items():
        tensors.append(kind.InferInput(name, list(array.shape), "BYTES" if array.dtype == object else "INT32"))
        tensors[-1].set_data_from_numpy(array)
    answer = client.infer("sums", tensors, timeout=int(timeout_s * 1e6))
    client.close()
    return {name: answer.as_numpy(name) for name in ("OUTPUT0", "OUTPUT1")}


@pytest.mark.parametrize("ask", [by_http, by_grpc])
@pytest.mark.parametrize("text", [False, True])
async def test_a_split_request_is_answered_as_a_whole_one(tmp_path: Path, ask: Client, *, text: bool) -> None:
    """Row by row the same, also the second time, when the short way is known; the parts ran side by side."""
    write = write_simple_string if text else write_simple
    async with serving(tmp_path, write, grpc_port=0) as server:
        values = numbers()
        given = as_text(values) if text else values
        for number in (1, 2):
            found = await asyncio.to_thread(ask, server, given)
            total, difference = (found[name].astype(np.int32) for name in ("OUTPUT0", "OUTPUT1"))
            np.testing.assert_array_equal(total, values["INPUT0"] + values["INPUT1"])
            np.testing.assert_array_equal(difference, values["INPUT0"] - values["INPUT1"])
            assert server.model.statistics.success.count == number
        runs = [run for record in server.records for run in record.effects if isinstance(run, RunBatch)]
        assert [run.calls for run in runs] == [(f"r{number}/0/{part}",) for number in (1, 2) for part in (0, 1)]
        assert len({run.instance for run in runs[:2]}) == 2
        assert server.model.statistics.inferences == 4  # of parts
        assert nothing_is_left(server)
    assert replay(server.records) is None


async def test_a_request_of_one_row_or_of_uneven_tensors_stays_whole(tmp_path: Path) -> None:
    """One has nothing to split; what the rows of the other are, only the model knows (here it repeats the one)."""
    async with serving(tmp_path, write_simple) as server:
        values = numbers()
        uneven = {**values, "INPUT1": values["INPUT1"][:1]}
        for given, timeout_s in ((numbers(1), 1.1), (uneven, 40.0)):
            found = await server.model.infer(given, timeout_ms=timeout_s * 1e3)
            np.testing.assert_array_equal(found["OUTPUT0"], given["INPUT0"] + given["INPUT1"])
    assert parts_run(server) == ["r1/0", "r2/0"]


async def test_only_the_part_of_a_worker_that_dies_runs_again(tmp_path: Path) -> None:
    """And the request is answered."""
    async with serving(tmp_path, write_simple) as server:
        pids = await stopped(server)
        asking = asyncio.create_task(server.model.infer(numbers(), timeout_ms=TIMEOUT_S * 1e3))
        await until(lambda: len(parts_run(server)) == 2)
        where = [run.instance for each in server.records for run in each.effects if isinstance(run, RunBatch)]
        os.kill(pids[where[0]], signal.SIGKILL)
        os.kill(pids[where[1]], signal.SIGCONT)
        found = await asking
        assert nothing_is_left(server)
    np.testing.assert_array_equal(found["OUTPUT0"], numbers()["INPUT0"] + numbers()["INPUT1"])
    assert [call for call in parts_run(server) if call.startswith("r1/0/1")] == ["r1/0/1"]
    assert len(parts_run(server)) > 2
    assert replay(server.records) is None


async def test_workers_that_die_under_load_mix_up_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large and small requests at once, some cancelled: who is answered gets the right rows, and nothing is left."""
    monkeypatch.setattr(Estimates, "observe", lambda *_: None)  # it would find out how fast the model is
    answered = 0
    running = True
    async with serving(tmp_path, write_simple, base_ms=20.0) as server:

        async def client(number: int) -> None:
            nonlocal answered
            while running:
                number = (number + 37) % ROWS
                values = numbers(number + 1)
                with contextlib.suppress(DeadlineError, RefusedError, TimeoutError):
                    async with asyncio.timeout(0.3 if number % 5 == 0 else None):
                        found = await server.model.infer(values, timeout_ms=100 + 9.5 * (number + 1))
                    np.testing.assert_array_equal(found["OUTPUT0"], values["INPUT0"] + values["INPUT1"])
                    answered += 1
                await asyncio.sleep(0.02)

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        for turn in range(3):
            await asyncio.sleep(0.3)
            pids = await stopped(server)
            await until(lambda: bool(server.router.scheduler.batches))
            await asyncio.sleep(0.1)
            for number, pid in enumerate(pids.values()):
                os.kill(pid, signal.SIGKILL if number == turn % 2 else signal.SIGCONT)
            await server.router.wait_ready()
        running = False
        await asyncio.gather(*clients)
        splits = [each for record in server.records for each in record.effects if isinstance(each, SplitCall)]
        assert nothing_is_left(server)
    assert len(splits) > 5
    assert answered > 20
    assert replay(server.records) is None


async def test_the_tensors_of_a_split_request_are_not_copied(tmp_path: Path) -> None:
    """The workers of all parts look at the body as it came."""
    async with serving(tmp_path, write_simple) as server:
        memory = server.router.workers.hub.memory
        assert memory is not None
        pids = await stopped(server)
        values = numbers(2048)
        asking = asyncio.create_task(asyncio.to_thread(by_http, server, values, timeout_s=900.0))
        await until(lambda: len(parts_run(server)) == 2)
        assert memory.given == 1
        for pid in pids.values():
            os.kill(pid, signal.SIGCONT)
        np.testing.assert_array_equal((await asking)["OUTPUT0"], values["INPUT0"] + values["INPUT1"])


def test_a_part_may_be_split_again() -> None:
    """As it may be where it waits again, since its instance died: the rows are put together all the same."""
    told: list[Any] = []
    router = Router(LocalLauncher())
    router._calls["r1/0"] = OpenCall(encode((numbers(6),)), told.append, 0.0, inf)  # noqa: SLF001
    for whole, sizes in (("r1/0", (4, 2)), ("r1/0/0", (1, 3))):
        parts = tuple(
            Call(id=f"{whole}/{place}", request="r1", stage=STAGE, size=size) for place, size in enumerate(sizes)
        )
        router._split(SplitCall(call=whole, request="r1", parts=parts, reason=""))  # noqa: SLF001
    for part in ("r1/0/1", "r1/0/0/1", "r1/0/0/0"):
        assert not told
        (values,) = decode(cast(list[bytes], router._calls[part].frames))  # noqa: SLF001
        router._tell(part, [memoryview(each) for each in encode(values)])  # noqa: SLF001
    (result,) = told
    np.testing.assert_array_equal(decode(result)["INPUT1"], numbers(6)["INPUT1"])


async def test_a_row_that_fails_fails_the_request_once(tmp_path: Path) -> None:
    """The client hears why, the other part is let go, and the next request is answered."""
    async with serving(tmp_path, write_simple_string) as server:
        good = as_text(numbers())
        bad = {name: array.copy() for name, array in good.items()}
        bad["INPUT0"][-1, 0] = "no number"
        with pytest.raises(StageError, match="stage 'model' failed"):
            await server.model.infer(bad, timeout_ms=TIMEOUT_S * 1e3)
        assert parts_run(server) == ["r1/0/0", "r1/0/1"]
        assert nothing_is_left(server)
        found = await server.model.infer(good, timeout_ms=TIMEOUT_S * 1e3)
        assert found["OUTPUT0"].astype(np.int32).tolist() == (numbers()["INPUT0"] + numbers()["INPUT1"]).tolist()
        assert dict(server.model.statistics.outcomes) == {"failed": 1, "answered": 1}


@pytest.mark.parametrize("waits", [False, True])
async def test_a_split_request_that_is_cancelled_leaves_nothing(tmp_path: Path, *, waits: bool) -> None:
    """Neither while its parts run, nor while one waits since its worker died; and memory is given back."""
    async with serving(tmp_path, write_simple) as server:
        memory = server.router.workers.hub.memory
        assert memory is not None
        pids = await stopped(server)
        asking = asyncio.create_task(server.model.infer(numbers(2048), timeout_ms=900_000))
        await until(lambda: len(parts_run(server)) == 2)
        assert memory.given == 4  # two tensors, in two parts
        if waits:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
            await until(lambda: any(queue.waiting for queue in server.router.scheduler.queues.values()))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert nothing_is_left(server)
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        found = await server.model.infer(numbers(1), timeout_ms=60_000)
        assert found["OUTPUT0"].shape == (1, 16)
        await until(lambda: not server.router.scheduler.batches)
        del asking
        assert memory.given == 0
        assert nothing_is_left(server)


async def test_a_timeout_ends_all_parts(tmp_path: Path) -> None:
    """The client hears in time, and the parts' late results trouble nobody."""
    async with serving(tmp_path, write_simple) as server:
        server.router.scheduler.estimates.drift |= dict.fromkeys(server.router.scheduler.capacity.max_batch, 0.01)
        pids = await stopped(server)
        with pytest.raises(DeadlineError, match="no answer within"):
            await server.model.infer(numbers(), timeout_ms=TIMEOUT_S * 10)
        assert parts_run(server) == ["r1/0/0", "r1/0/1"]
        assert nothing_is_left(server)
        for pid in pids.values():
            os.kill(pid, signal.SIGCONT)
        await until(lambda: not server.router.scheduler.batches)
        assert nothing_is_left(server)


@pytest.mark.parametrize("policy", ["heterosis", "heterosis:without_splitting"])
async def test_a_wide_fleet_meets_a_deadline_that_no_instance_could(tmp_path: Path, policy: str) -> None:
    """256 rows at 5 ms each within half a second, on eight instances that are emulated; whole, they miss it."""
    times = tuple(make_latency(5.0 * rows, 5.5 * rows, 6.0 * rows) for rows in range(1, 33))
    kinds = {"cpu": Kind(latencies=times, power_w=10.0, instances=8)}
    plan = as_emulated(make_mixed_plan(STAGE, kinds, slo_ms=2000.0, policy=policy, pipeline="sums"), tmp_path)
    inputs, outputs = (
        [TensorSpec(name=f"{kind}{number}", dtype="int32", shape=(-1, 16)) for number in (0, 1)]
        for kind in ("INPUT", "OUTPUT")
    )
    write_emulated(plan, inputs, outputs, "made up for a test")
    async with serving(tmp_path, write_simple, plan) as server:
        began = time.monotonic()
        asking = server.model.infer(numbers(256), timeout_ms=500)
        if policy == "heterosis":
            found = await asking
            assert found["OUTPUT0"].shape == (256, 16)
            assert time.monotonic() - began < 0.5
            (split,) = (each for record in server.records for each in record.effects if isinstance(each, SplitCall))
            assert 3 <= len(split.parts) <= 8
        else:
            with pytest.raises(DeadlineError):
                await asking
        assert nothing_is_left(server)


async def stopped(server: Server) -> dict[str, int]:
    """Stop all workers, for a while; return the process of each instance."""
    pids = server.launcher.pids()
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    for pid in pids.values():
        await until(partial(is_stopped, pid))
    return pids


def is_stopped(pid: int) -> bool:
    """Whether a process is."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


async def until(met: Callable[[], bool]) -> None:
    """Wait for what must come soon."""
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)
