"""Plain models from files and folders: found, looked at, served, loaded and unloaded; by other people's client."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton

from heterosis.devices import local_fleet
from heterosis.serving.folder import ModelFolder
from heterosis.serving.models import State
from heterosis.serving.router import OpenCall
from heterosis.terms.errors import DeadlineError, HeterosisError, NotFoundError, UnavailableError, UsageError
from heterosis.testing.onnx_models import write_model, write_simple, write_triton_examples
from tests.serving.conftest import Server, serve_source

Array = np.ndarray[Any, Any]


def folder_of(path: Path, **options: Any) -> ModelFolder:
    """Serve a folder on this machine."""
    return ModelFolder(path, local_fleet(), **options)


def ask(url: str, model: str, inputs: dict[str, Array], *, binary: bool) -> dict[str, Array]:
    """Send a request with Triton's client; return every output."""
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    kinds = {"int32": "INT32", "object": "BYTES", "float32": "FP32"}
    tensors = []
    for name, array in inputs.items():
        tensors.append(triton.InferInput(name, list(array.shape), kinds[array.dtype.name]))
        tensors[-1].set_data_from_numpy(array, binary_data=binary)
    outputs = [
        triton.InferRequestedOutput(each["name"], binary_data=binary)
        for each in client.get_model_metadata(model)["outputs"]
    ]
    answer = client.infer(model, tensors, outputs=outputs)
    return {each["name"]: answer.as_numpy(each["name"]) for each in answer.get_response()["outputs"]}


def test_models_are_found_as_files_and_in_tritons_layout(tmp_path: Path) -> None:
    """Versions by number, the newest last; what is no model, or cannot be named in an address, is passed over."""
    write_simple(tmp_path / "flat.onnx")
    for version in ("10", "9", "2"):
        write_simple(tmp_path / "deep" / version / "model.onnx")
    (tmp_path / "README.md").write_text("Models.")
    write_simple(tmp_path / "no name.onnx")
    (tmp_path / "empty").mkdir()
    assert folder_of(tmp_path).listed() == {"deep": ("2", "9", "10"), "flat": ("1",)}
    assert folder_of(tmp_path / "flat.onnx").listed() == {"flat": ("1",)}
    with pytest.raises(UsageError, match="holds no model: give a file"):
        folder_of(tmp_path / "empty")


@pytest.mark.parametrize("binary", [False, True])
async def test_the_models_of_tritons_examples_are_served_without_code(tmp_path: Path, *, binary: bool) -> None:
    """Two inputs and two outputs, numbers as text, text as it is, several rows at once; all at one server."""
    numbers = np.arange(32, dtype=np.int32).reshape(2, 16)
    given = {"INPUT0": numbers, "INPUT1": np.ones((2, 16), np.int32)}
    text: dict[str, Array] = {name: array.astype(str).astype(object) for name, array in given.items()}
    async with serve_source(tmp_path, folder_of(write_triton_examples(tmp_path / "models"))) as server:
        names = ("simple", "simple_string", "simple_identity")
        await asyncio.gather(*(server.repository.load(name) for name in names))
        sums = await asyncio.to_thread(ask, server.url, "simple", given, binary=binary)
        strings = await asyncio.to_thread(ask, server.url, "simple_string", text, binary=binary)
        same = await asyncio.to_thread(ask, server.url, "simple_identity", {"INPUT0": text["INPUT0"]}, binary=binary)
    assert np.array_equal(sums["OUTPUT0"], numbers + 1)
    assert np.array_equal(sums["OUTPUT1"], numbers - 1)
    assert np.array_equal(strings["OUTPUT1"].astype(np.int32), numbers - 1)
    assert np.array_equal(same["OUTPUT0"].astype(np.int32), numbers)


async def test_a_timeout_fires_while_a_plain_model_runs(tmp_path: Path) -> None:
    """The client hears in time, and the next one is served."""
    write_simple(tmp_path / "sums.onnx")
    inputs = {name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        await server.repository.load("sums")
        model = server.repository.get("sums")
        (worker,) = set(server.launcher.pids().values())
        os.kill(worker, signal.SIGSTOP)
        gc.disable()
        for _ in range(3):
            with pytest.raises(DeadlineError, match="no answer within 1"):
                await model.infer(inputs, timeout_ms=100)
        os.kill(worker, signal.SIGCONT)
        assert not any(isinstance(each, OpenCall) for each in gc.get_objects())  # none waits for the collector
        gc.enable()
        result = await model.infer(inputs, timeout_ms=20_000)
        assert result["OUTPUT0"].tolist() == [[2] * 16]
        assert not server.router._calls  # noqa: SLF001 - nothing is kept of what was late


async def test_requests_of_several_rows_are_joined(tmp_path: Path) -> None:
    """Each gets its own rows back, whatever it shared a batch with; the statistics count calls and batches."""
    write_simple(tmp_path / "sums.onnx")
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        await server.repository.load("sums")
        model = server.repository.get("sums")
        given = [np.full((rows, 16), value, np.int32) for value, rows in enumerate([1, 3, 2, 1] * 10)]
        answers = await asyncio.gather(
            *(model.infer({"INPUT0": array, "INPUT1": array}, timeout_ms=20_000) for array in given)
        )
    assert all(np.array_equal(answer["OUTPUT0"], 2 * array) for answer, array in zip(answers, given, strict=True))
    assert model.statistics.inferences == 40
    assert 0 < model.statistics.executions < 40
    assert model.statistics.success.count == 40


def write_plus(path: Path, *, times: int) -> Path:
    """Write a model that adds its input to itself so many times."""
    steps = [("Add", ("x" if step == 0 else f"y{step - 1}", "x"), (f"y{step}",)) for step in range(times - 1)]
    nodes = [*steps, ("Add", (f"y{times - 2}" if steps else "x", "x"), ("y",))]
    return write_model(path, nodes, [("x", "FLOAT", ("rows", 1))], [("y", "FLOAT", ("rows", 1))])


async def under_load(server: Server, change: Callable[[], Any]) -> list[float]:
    """Change something while requests come, one after the other by several clients; return all answers."""
    answers: list[float] = []
    changed = asyncio.Event()

    async def client() -> None:
        while not changed.is_set():
            model = server.repository.get("plus")
            result = await model.infer({"x": np.ones((1, 1), np.float32)}, timeout_ms=10_000)
            answers.append(float(result["y"][0, 0]))

    clients = [asyncio.create_task(client()) for _ in range(4)]
    await asyncio.sleep(0.1)
    await change()
    await asyncio.sleep(0.1)
    changed.set()
    await asyncio.gather(*clients)
    return answers


async def test_a_new_version_takes_over_and_loses_no_request(tmp_path: Path) -> None:
    """It is ready before the old one stops; whoever asked is answered by one of them, and in the end by the new."""
    write_plus(tmp_path / "models" / "plus" / "1" / "model.onnx", times=1)
    source = folder_of(tmp_path / "models")
    async with serve_source(tmp_path, source) as server:
        await server.repository.load("plus")
        write_plus(tmp_path / "models" / "plus" / "2" / "model.onnx", times=2)
        answers = await under_load(server, lambda: server.repository.load("plus"))
        listed = {each.version: (each.state, each.reason) for each in server.repository.index()}
        assert len(server.launcher.pids()) == 1
    assert set(answers) == {2.0, 3.0}
    assert sorted(answers) == answers
    assert listed == {"1": (State.UNAVAILABLE, "replaced"), "2": (State.READY, "")}


async def test_loading_again_takes_what_the_file_is_now(tmp_path: Path) -> None:
    """The same version with other contents replaces what was loaded, without a gap."""
    file = write_plus(tmp_path / "plus.onnx", times=1)
    async with serve_source(tmp_path, folder_of(tmp_path, store=tmp_path / "store")) as server:
        await server.repository.load("plus")
        write_plus(file, times=3)
        answers = await under_load(server, lambda: server.repository.load("plus"))
    assert answers[0] == 2.0
    assert answers[-1] == 4.0


async def test_a_model_that_is_unloaded_answers_what_it_has_and_nothing_more(tmp_path: Path) -> None:
    """It can be loaded again; the others never notice."""
    write_simple(tmp_path / "sums.onnx")
    write_plus(tmp_path / "plus.onnx", times=1)
    values = {name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        await asyncio.gather(*(server.repository.load(name) for name in ("sums", "plus")))
        model = server.repository.get("sums")
        pending = [asyncio.create_task(model.infer(values)) for _ in range(20)]
        await asyncio.sleep(0)
        await server.repository.unload("sums")
        assert len(await asyncio.gather(*pending)) == 20
        with pytest.raises(UnavailableError, match="model 'sums' is unloaded"):
            await model.infer(values)
        assert set(server.router.hosted) == {"plus"}
        answer = await server.repository.get("plus").infer({"x": np.ones((1, 1), np.float32)})
        assert answer["y"].tolist() == [[2.0]]
        await server.repository.load("sums")
        await server.repository.get("sums").infer(values)
        with pytest.raises(NotFoundError, match="unknown model: 'other'"):
            await server.repository.unload("other")


async def test_the_first_request_after_a_load_waits_for_it(tmp_path: Path) -> None:
    """It is answered, not refused (as KServe's users report)."""
    write_plus(tmp_path / "plus.onnx", times=1)
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        loading = asyncio.create_task(server.repository.load("plus"))
        await asyncio.sleep(0)
        model = server.repository.get("plus")
        assert (model.state, model.ready) == (State.LOADING, False)
        answer = await model.infer({"x": np.ones((1, 1), np.float32)})
        assert answer["y"].tolist() == [[2.0]]
        await loading


async def test_a_model_that_cannot_be_loaded_leaves_the_others_alone(tmp_path: Path) -> None:
    """The index says why; once the file is mended it can be loaded."""
    write_plus(tmp_path / "plus.onnx", times=1)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        await server.repository.load("plus")
        with pytest.raises(HeterosisError, match=r"cannot load .*broken.onnx"):
            await server.repository.load("broken")
        broken, good = sorted(server.repository.index(), key=lambda each: each.name)
        assert (broken.state, good.state) == (State.UNAVAILABLE, State.READY)
        assert "cannot load" in broken.reason
        assert [model.name for model in server.repository.models()] == ["plus"]
        write_plus(tmp_path / "broken.onnx", times=1)
        await server.repository.load("broken")
        assert server.repository.get("broken").ready


async def test_the_largest_batch_can_be_given(tmp_path: Path) -> None:
    """As Triton's load takes it."""
    write_simple(tmp_path / "sums.onnx")
    async with serve_source(tmp_path, folder_of(tmp_path)) as server:
        await server.repository.load("sums", max_batch=3)
        assert server.repository.get("sums").max_batch == 3
        assert {each.max_batch for each in server.router.plan.placements} == {3}
