"""Requests whose tensors are passed on as they came: answered as all others are, and refused as well."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import numpy as np
import psutil
import pytest
from tritonclient import grpc as triton_grpc

from heterosis.devices import local_fleet
from heterosis.scheduling import RunBatch
from heterosis.serving.folder import ModelFolder
from heterosis.serving.gateway.http.infer import _Again
from heterosis.serving.gateway.shortcut import Passed, Shortcut, _learn
from heterosis.serving.protocol import InferRequest, InferResponse
from heterosis.serving.values import encode
from heterosis.terms.errors import RefusedError
from heterosis.testing.onnx_models import write_model, write_simple
from tests.serving.conftest import Server, serve_source

INFER = "/v2/models/sums/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Serve a model of sums and differences, and one that passes flags through."""
    write_simple(tmp_path / "sums.onnx")
    write_model(tmp_path / "flags.onnx", [("Not", ("x",), ("y",))], [("x", "BOOL", (2,))], [("y", "BOOL", (2,))])
    async with serve_source(tmp_path, ModelFolder(tmp_path, local_fleet()), grpc_port=0) as server:
        await server.repository.load("sums")
        await server.repository.load("flags")
        yield server


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each result that goes the short way: whether its answer was written as one before."""
    found: list[bool] = []
    first = Passed._first  # noqa: SLF001
    told = Passed.told

    def note_first(self: Passed, result: Any) -> Any:
        found[-1] = False
        return first(self, result)

    def note(self: Passed, result: Any, now: float) -> None:
        found.append(True)
        told(self, result, now)

    monkeypatch.setattr(Passed, "_first", note_first)
    monkeypatch.setattr(Passed, "told", note)
    return found


def binary(
    inputs: dict[str, np.ndarray[Any, Any]], outputs: Sequence[str] = (), datatype: str = "INT32", **fields: Any
) -> tuple[bytes, dict[str, str]]:
    """A request in binary form, and its headers."""
    tensors = [
        {"name": name, "datatype": datatype, "shape": array.shape, "parameters": {"binary_data_size": array.nbytes}}
        for name, array in inputs.items()
    ]
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head = json.dumps({"inputs": tensors, "outputs": asked, **fields}).encode()
    return head + b"".join(array.tobytes() for array in inputs.values()), {LENGTH: str(len(head))}


async def ask(server: Server, body: bytes, headers: dict[str, str], path: str = INFER) -> tuple[int, bytes, str]:
    """Send it; return status, body, and where its JSON ends."""
    async with aiohttp.ClientSession(server.url) as session, session.post(path, data=body, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get(LENGTH, "")


def arrays(body: bytes, length: str) -> dict[str, list[int]]:
    """The tensors of an answer in binary form."""
    found, at = {}, int(length)
    for tensor in json.loads(body[:at])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        found[tensor["name"]] = np.frombuffer(body[at : at + size], np.int32).tolist()
        at += size
    assert at == len(body)
    return found


@pytest.mark.parametrize("rows", [1, 400])
async def test_answers_are_the_same_the_first_time_and_later(server: Server, passed: list[bool], rows: int) -> None:
    """Small tensors and such as lie in shared memory; inputs in any order, outputs as they are asked for."""
    for value in (3, 5, 7):
        one, other = np.full((rows, 16), value, np.int32), np.arange(rows * 16, dtype=np.int32).reshape(rows, 16)
        body, headers = binary({"INPUT1": one, "INPUT0": other}, ["OUTPUT1", "OUTPUT0"], id="mine")
        status, answer, length = await ask(server, body, headers)
        assert status == 200
        assert json.loads(answer[: int(length)])["id"] == "mine"
        expected = {"OUTPUT1": (other - one).ravel().tolist(), "OUTPUT0": (other + one).ravel().tolist()}
        assert arrays(answer, length) == expected
        assert list(arrays(answer, length)) == ["OUTPUT1", "OUTPUT0"]
    assert passed == [False, True, True]
    statistics = server.repository.get("sums").statistics
    assert statistics.success.count == statistics.decode.count == statistics.encode.count == 3


async def test_what_is_like_the_last_request_of_a_connection_need_not_be_looked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is, down to the JSON, and the model is the same; else all goes as for any other request."""
    answered, again = [], _Again.__call__

    def note(self: _Again, body: memoryview, begin: int) -> Any:
        answer = again(self, body, begin)
        answered.append(answer is not None)
        return answer

    monkeypatch.setattr(_Again, "__call__", note)

    def request(one: int, other: int, names: Sequence[str] = ("INPUT0", "INPUT1")) -> tuple[bytes, dict[str, str]]:
        tensors = {name: np.full((400, 16), value, np.int32) for name, value in zip(names, (one, other), strict=True)}
        return binary(tensors, ["OUTPUT1"])

    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=1)) as session:

        async def difference(*arguments: Any) -> list[int]:
            body, headers = request(*arguments)
            async with session.post(INFER, data=body, headers=headers) as response:
                answer = await response.read()
                assert response.status == 200, answer
                found: list[int] = np.unique(arrays(answer, response.headers[LENGTH])["OUTPUT1"]).tolist()
                return found

        assert [await difference(value, 2) for value in (3, 4, 5, 6)] == [[1], [2], [3], [4]]
        assert answered == [True] * 3
        assert await difference(3, 2, ("INPUT1", "INPUT0")) == [-1]
        assert answered == [True] * 3 + [False]
        async with session.get("/v2") as response:
            assert response.status == 200
        assert [await difference(value, 2) for value in (3, 4, 5)] == [[1], [2], [3]]
        assert answered == [True] * 3 + [False] + [True] * 2
        await server.repository.load("sums")
        assert [await difference(value, 2) for value in (3, 4)] == [[1], [2]]
        assert answered[6:] == [False, True]
        rollout = Mock(turn=Mock(return_value=server.repository.get("sums")))
        monkeypatch.setitem(server.repository.rollouts, "sums", rollout)
        assert [await difference(value, 2) for value in (3, 4, 5)] == [[1], [2], [3]]
        assert answered[8:] == [False] * 3
        assert rollout.turn.call_count == 3  # each has its turn once
        monkeypatch.delitem(server.repository.rollouts, "sums")
        monkeypatch.setattr(server.router, "ask", Mock(side_effect=RefusedError("full")))
        body, headers = request(1, 2)
        async with session.post(INFER, data=body, headers=headers) as response:
            assert (response.status, b"full" in await response.read()) == (429, True)
        assert answered[11:] == [True]


async def test_over_grpc_too(server: Server, passed: list[bool]) -> None:
    """By Triton's client."""

    def talk() -> list[Any]:
        client = triton_grpc.InferenceServerClient(server.grpc)
        answers = []
        for value in (1, 2, 3):
            tensors = [triton_grpc.InferInput(name, [2000, 16], "INT32") for name in ("INPUT1", "INPUT0")]
            for tensor in tensors:
                tensor.set_data_from_numpy(np.full((2000, 16), value, np.int32))
            answers.append(client.infer("sums", tensors).as_numpy("OUTPUT0"))
        return answers

    answers = await asyncio.to_thread(talk)
    assert [np.unique(answer).tolist() for answer in answers] == [[2], [4], [6]]
    assert passed == [False, True, True]


async def test_what_is_wrong_is_refused_each_time(server: Server, passed: list[bool]) -> None:
    """Nothing that was right before lets it in, and no worker sees it."""
    good = {name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}
    for _ in range(2):
        body, headers = binary(good, ["OUTPUT0"])
        assert (await ask(server, body, headers))[0] == 200
        for wrong, said in (
            ((body[:-4], headers), b"are left in the body"),
            ((body + bytes(4), headers), b"follow the binary data"),
            (binary(good, ["OUTPUT2"]), b"unknown output"),
            (binary(good, ["OUTPUT0"], datatype="UINT32"), b"has data type uint32"),
            (binary({"INPUT0": good["INPUT0"]}, ["OUTPUT0"]), b"missing input"),
            (binary(good, ["OUTPUT0"], parameters={"timeout": -1}), b"timeout"),
        ):
            status, answer, _ = await ask(server, *wrong)
            assert (status, said in answer) == (400, True), answer
    assert passed == [False, True]
    runs = [effect for record in server.records for effect in record.effects if isinstance(effect, RunBatch)]
    assert len(runs) == 2


def test_a_result_whose_frames_are_not_what_it_says_is_read_as_any_other() -> None:
    """That tells what is wrong with it; the short way would pass it on to the client."""
    array = np.arange(4, dtype=np.int32)
    frames = [memoryview(frame) for frame in encode({"y": array})]
    shortcut = Shortcut(
        asked=InferRequest(inputs={}, binary_output=True),
        header=b"",
        inputs=[],
        lengths=[],
        size=1,
        divisible=False,
        request_class="default",
        timeout_ms=None,
    )
    assert shortcut.answer(frames) is None
    _learn(shortcut, frames, InferResponse(model_name="m", outputs={"y": array}), [b"head", array.data.cast("B")])
    assert shortcut.answer(frames) == [b"head", frames[1]]
    assert shortcut.answer([*frames[:1], frames[1][:8]]) is None
    assert shortcut.answer(frames[:1]) is None


async def test_bytes_that_have_to_be_looked_at_are(server: Server, passed: list[bool]) -> None:
    """A BOOL is 0 or 1."""
    path = INFER.replace("sums", "flags")
    for flags in ([0, 1], [1, 0]):
        body, headers = binary({"x": np.array(flags, np.uint8)}, ["y"], "BOOL")
        status, answer, _ = await ask(server, body, headers, path)
        assert (status, list(answer[-2:])) == (200, [1 - flag for flag in flags])
    body, headers = binary({"x": np.array([0, 2], np.uint8)}, ["y"], "BOOL")
    status, answer, _ = await ask(server, body, headers, path)
    assert (status, b"other than 0 and 1" in answer) == (400, True)
    assert not passed


async def test_a_model_that_is_loaded_anew_is_asked_anew(server: Server, passed: list[bool], tmp_path: Path) -> None:
    """What was found out about the one before does not count."""
    good = binary({name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}, ["OUTPUT0"])
    assert (await ask(server, *good))[0] == 200
    write_model(
        tmp_path / "sums.onnx",
        [("Neg", ("INPUT0",), ("OUTPUT0",))],
        [("INPUT0", "INT32", (1, 16))],
        [("OUTPUT0", "INT32", (1, 16))],
    )
    await server.repository.load("sums")
    status, answer, _ = await ask(server, *good)
    assert (status, b"unknown input" in answer) == (400, True)
    assert passed == [False]


async def test_timeouts_and_clients_that_go_leave_nothing(server: Server, passed: list[bool]) -> None:
    """A header counts like a parameter; nobody is told afterwards, and the next request is served."""
    body, headers = binary({name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}, ["OUTPUT0"])
    patient = {**headers, "Heterosis-Timeout-Ms": "20000"}
    assert (await ask(server, body, patient))[0] == 200
    workers = set(server.launcher.pids().values())
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
        while psutil.Process(worker).status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - its threads may run on until it is
            await asyncio.sleep(0.01)
    status, answer, _ = await ask(server, body, {**headers, "Heterosis-Timeout-Ms": "100"})
    assert (status, b"no answer within 1" in answer) == (504, True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(server, body, headers)
    async with asyncio.timeout(10):
        while server.router._calls or server.router.scheduler.requests:  # noqa: ASYNC110, SLF001
            await asyncio.sleep(0.01)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert (await ask(server, body, patient))[0] == 200
    assert server.repository.get("sums").statistics.outcomes == {"answered": 2, "failed": 1, "cancelled": 1}
    assert passed == [False, True, True]
