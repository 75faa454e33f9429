"""The gateway, from outside: other people's client, and everything that a client can get wrong."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import numpy as np
import pytest
from tritonclient import http as triton

from heterosis.scheduling import RunBatch
from tests.serving.conftest import Serve, Server

INFER = "/v2/models/toy/infer"


def body(**changes: Any) -> dict[str, Any]:
    """A valid request, with changes."""
    inputs = [
        {"name": "values", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]},
        {"name": "factor", "datatype": "INT64", "shape": [1], "data": [3]},
        {"name": "nap_ms", "datatype": "INT64", "shape": [1], "data": [0]},
    ]
    return {"inputs": inputs, **changes}


def changed(position: int, **fields: Any) -> dict[str, Any]:
    """A valid request with one input changed."""
    request = body()
    request["inputs"][position] |= fields
    return request


def batches(server: Server) -> int:
    """Batches sent to workers so far."""
    return sum(isinstance(effect, RunBatch) for record in server.records for effect in record.effects)


@pytest.mark.parametrize("binary", [False, True])
async def test_tritons_client_gets_what_a_direct_call_gives(serving: Serve, *, binary: bool) -> None:
    """Metadata, health and inference, in JSON and in binary form, by an unmodified client."""

    def talk(url: str) -> Any:
        client = triton.InferenceServerClient(url.removeprefix("http://"))
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("toy")
        metadata = client.get_model_metadata("toy")
        assert [each["name"] for each in metadata["inputs"]] == ["values", "factor", "nap_ms"]
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "values": np.array([1, 2], np.float32),
            "factor": np.array([3], np.int64),
            "nap_ms": np.array([1], np.int64),
        }
        inputs = []
        for each in metadata["inputs"]:
            tensor = triton.InferInput(each["name"], list(arrays[each["name"]].shape), each["datatype"])
            tensor.set_data_from_numpy(arrays[each["name"]], binary_data=binary)
            inputs.append(tensor)
        output = triton.InferRequestedOutput("output", binary_data=binary)
        result = client.infer("toy", inputs, outputs=[output], request_id="mine")
        assert result.get_response()["id"] == "mine"
        return result.as_numpy("output")

    async with serving() as server:
        answer = await asyncio.to_thread(talk, server.url)
        direct = await server.model.servable.pipeline(values=np.array([1, 2], np.float32), factor=3, nap_ms=1)
    assert answer.tolist() == direct == [6.0, 12.0]


WRONG: dict[str, tuple[Any, int, str]] = {
    "malformed JSON": ('{"inputs": [', 400, "JSON"),
    "no inputs": ({}, 400, "inputs"),
    "a missing input": ({"inputs": body()["inputs"][:2]}, 400, "missing input 'nap_ms'"),
    "an unknown input": (changed(0, name="value"), 400, "unknown input 'value'"),
    "another data type": (changed(0, datatype="FP64"), 400, "input 'values' has data type float64"),
    "another shape": (changed(0, shape=[1, 2]), 400, "input 'values' has shape"),
    "data that does not fill its shape": (changed(0, shape=[3]), 400, "values"),
    "a number of the wrong kind": (changed(1, data=["x"]), 400, "factor"),
    "an unknown output": (body(outputs=[{"name": "nope"}]), 400, "unknown output 'nope'"),
    "a timeout that is none": (body(parameters={"timeout_ms": -1}), 400, "timeout_ms"),
    "an unknown priority": (body(parameters={"priority": "high"}), 400, "priority"),
}


@pytest.fixture
def check(serving: Serve) -> Callable[..., Any]:
    """Post something wrong; check the answer, that no worker saw it, and that the server still serves."""

    async def run(data: Any, status: int, message: str, *, path: str = INFER, **headers: str) -> None:
        async with serving(max_body_bytes=10_000) as server, aiohttp.ClientSession(server.url) as client:
            text = data if isinstance(data, str | bytes) else json.dumps(data)
            async with client.post(path, data=text, headers=headers) as answer:
                assert answer.status == status
                error = (await answer.json())["error"]
            assert message in error
            assert batches(server) == 0
            async with client.post(INFER, json=body()) as answer:
                assert answer.status == 200

    return run


@pytest.mark.parametrize("case", WRONG)
async def test_what_a_client_sends_wrong_is_named_and_reaches_no_worker(check: Callable[..., Any], case: str) -> None:
    """Each mistake has a 4xx that names the field."""
    await check(*WRONG[case])


async def test_truncated_binary_data_is_refused(check: Callable[..., Any]) -> None:
    """A body that ends before its tensors do is the client's mistake."""
    request = changed(0, parameters={"binary_data_size": 8})
    del request["inputs"][0]["data"]
    head = json.dumps(request).encode()
    await check(head + b"\0\0\0", 400, "values", **{"Inference-Header-Content-Length": str(len(head))})


async def test_a_body_past_the_limit_is_refused(check: Callable[..., Any]) -> None:
    """Whether its length is announced or not."""
    await check("x" * 10_001, 413, "at most 10000")


async def test_an_unknown_model_or_version_is_not_found(check: Callable[..., Any]) -> None:
    """The message says what there is."""
    await check(body(), 404, "unknown model: 'other' is not found; this server has: toy", path="/v2/models/other/infer")
    await check(body(), 404, "no version '7'", path="/v2/models/toy/versions/7/infer")
    await check(body(), 404, "Not Found", path="/v3")


async def test_a_stage_that_raises_is_named_and_its_worker_lives(serving: Serve) -> None:
    """The request gets a 5xx that names stage and error; the next one is served by the same processes."""
    async with serving() as server, aiohttp.ClientSession(server.url) as client:
        pids = server.launcher.pids()
        async with client.post(INFER, json=changed(1, data=[13])) as answer:
            assert answer.status == 500
            assert "stage 'scale' failed: ValueError: 13 is unlucky" in (await answer.json())["error"]
        async with client.post(INFER, json=body()) as answer:
            assert answer.status == 200
        assert server.launcher.pids() == pids


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [({"timeout": 50_000}, {}), ({"timeout_ms": 50}, {}), ({}, {"Heterosis-Timeout-Ms": "50"})],
)
async def test_a_deadline_can_ride_on_a_request(
    serving: Serve, parameters: dict[str, int], headers: dict[str, str]
) -> None:
    """By Triton's parameter, by ours, and by header: past it the answer is 504, and soon."""
    async with serving() as server, aiohttp.ClientSession(server.url) as client:
        loop = asyncio.get_running_loop()
        started = loop.time()
        request = changed(2, data=[1500]) | {"parameters": parameters}
        async with client.post(INFER, json=request, headers=headers) as answer:
            assert answer.status == 504
        assert loop.time() - started < 1.0


async def test_until_all_is_warm_the_server_is_not_ready_and_requests_wait(serving: Serve) -> None:
    """Health says so; the first request is answered once the model is there, or told that its time is over."""
    async with serving(wait=False) as server, aiohttp.ClientSession(server.url) as client:
        statuses = [(await client.get(path)).status for path in ("/v2/health/live", "/v2/health/ready")]
        assert statuses == [200, 503]
        hasty = {"Heterosis-Timeout-Ms": "1"}
        first = asyncio.create_task(client.post(INFER, json=body()))
        async with client.post(INFER, json=body(), headers=hasty) as answer:
            assert answer.status == 504
            assert "still loading" in (await answer.json())["error"]
        async with await first as answer:
            assert answer.status == 200
        assert (await client.get("/v2/health/ready")).status == 200


async def test_requests_beyond_capacity_are_refused_with_a_time_to_retry(serving: Serve) -> None:
    """A burst far beyond what can be answered in time gets some answers and many early refusals, no other errors."""
    async with serving() as server, aiohttp.ClientSession(server.url) as client:

        async def ask() -> tuple[int, str | None]:
            async with client.post(INFER, json=changed(2, data=[20]) | {"parameters": {"timeout_ms": 400}}) as answer:
                return answer.status, answer.headers.get("Retry-After")

        answers = await asyncio.gather(*(ask() for _ in range(100)))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) >= 10
    assert statuses.count(429) >= 30
    assert set(statuses) <= {200, 429, 504}
    assert all(retry is not None for status, retry in answers if status == 429)
