"""Pipelines that yield: each result is sent as it comes, over gRPC and over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from heterosis.pipeline import FUNCTION, load_pipeline
from heterosis.testing import make_plan, make_variant
from tests.serving.conftest import Serve, Server

COUNTING = str(Path(__file__).parents[1] / "counting_pipeline.py")
STREAM = "/v2/models/counting/generate_stream"


@pytest.fixture
async def server(serving: Serve) -> AsyncIterator[Server]:
    """A server of the counting pipeline."""
    variants = {"step": make_variant("step", model=FUNCTION, engine=FUNCTION)}
    plan = make_plan({"step": 1.0}, slo_ms=10_000.0, variants=variants, pipeline="counting")
    async with serving(plan, target=COUNTING, grpc_port=0) as made:
        yield made


def inputs(start: int, count: int, nap_ms: int = 0) -> list[Any]:
    """A request as Triton's client has it."""
    made = []
    for name, value in (("start", start), ("count", count), ("nap_ms", nap_ms)):
        made.append(triton.InferInput(name, [1], "INT64"))
        made[-1].set_data_from_numpy(np.array([value]))
    return made


async def test_called_directly_it_gives_a_list() -> None:
    """As its truth is one."""
    assert await load_pipeline(COUNTING)(start=1, count=3, nap_ms=0) == [2, 3, 4]


async def test_grpc_streams_are_decoupled(server: Server) -> None:
    """Results come one by one; the client is told which is the last, and that the model is of this kind."""

    def talk(url: str) -> list[Any]:
        answers: list[Any] = []
        client = triton.InferenceServerClient(url)
        assert client.get_model_config("counting").config.model_transaction_policy.decoupled
        with pytest.raises(InferenceServerException, match="any number of results"):
            client.infer("counting", inputs(1, 2))
        client.start_stream(lambda result, error: answers.append(error or result.get_response()))
        client.async_stream_infer("counting", inputs(1, 3), request_id="a", enable_empty_final_response=True)
        client.stop_stream()
        return answers

    answers = await asyncio.to_thread(talk, server.grpc)
    numbers = [np.frombuffer(raw, np.int64).item() for each in answers for raw in each.raw_output_contents]
    assert numbers == [2, 3, 4]
    assert {each.id for each in answers} == {"a"}
    assert [each.parameters["triton_final_response"].bool_param for each in answers] == [False, False, False, True]


async def test_events_come_as_results_do(server: Server) -> None:
    """The first long before the last."""
    async with aiohttp.ClientSession(server.url) as client:
        body = {"start": 5, "count": 3, "nap_ms": 200, "id": "mine"}
        async with client.post(STREAM, json=body) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            events = [
                (time.monotonic(), json.loads(line[6:])) async for line in answer.content if line.startswith(b"data: ")
            ]
    assert [event["output"] for _, event in events] == [6, 7, 8]
    assert events[0][1] == {"model_name": "counting", "model_version": "1", "id": "mine", "output": 6}
    assert events[-1][0] - events[0][0] > 0.3


async def test_errors_before_and_within_a_stream(server: Server) -> None:
    """Before the first result a status says so; after it, the last event."""
    async with aiohttp.ClientSession(server.url) as client:
        for body, status in (
            ({"start": 13, "count": 1, "nap_ms": 0}, 500),
            ({"start": 1, "count": 1}, 400),
            ({"start": "x", "count": 1, "nap_ms": 0}, 400),
            ({"begin": 1}, 400),
        ):
            async with client.post(STREAM, json=body) as answer:
                assert answer.status == status
                assert (await answer.json())["error"]
        async with client.post(STREAM, json={"start": 11, "count": 5, "nap_ms": 0}) as answer:
            events = [json.loads(each[6:]) for each in (await answer.read()).split(b"\n\n") if each]
    assert [each["output"] for each in events[:2]] == [12, 13]
    assert "13 is unlucky" in events[2]["error"]


async def test_a_client_that_goes_ends_the_stream(server: Server) -> None:
    """What it has not waited for is not run."""
    async with aiohttp.ClientSession(server.url) as client:
        answer = await client.post(STREAM, json={"start": 100, "count": 1000, "nap_ms": 20})
        await answer.content.readline()
        answer.close()
    async with asyncio.timeout(5):
        while not server.model.statistics.outcomes["cancelled"]:  # noqa: ASYNC110 - a count offers no event
            await asyncio.sleep(0.02)


async def test_any_model_can_be_asked_in_plain_json(serving: Serve) -> None:
    """One with one result for a request: by both ways."""
    async with serving() as server, aiohttp.ClientSession(server.url) as client:
        body = {"values": [1, 2], "factor": 3, "nap_ms": 0, "parameters": {"timeout": 5_000_000}}
        async with client.post("/v2/models/toy/generate", json=body) as answer:
            assert await answer.json() == {"model_name": "toy", "model_version": "1", "output": [6.0, 12.0]}
        async with client.post("/v2/models/toy/versions/1/generate_stream", json=body) as answer:
            assert json.loads((await answer.read())[6:])["output"] == [6.0, 12.0]
