"""A new version of a model gets a share of the requests first: promoted, or backed out, and no client suffers."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import numpy as np
import pytest

from heterosis.client import Client
from heterosis.control.canary import Trial
from heterosis.scheduling import PlanChanged, changes, validate
from heterosis.serving.models import State
from heterosis.serving.protocol import InferRequest, encode_request
from heterosis.simulation import replay
from heterosis.testing.onnx_models import Node, write_model
from tests.serving.conftest import Server, serve_source
from tests.serving.test_folder import folder_of, write_plus

TRIAL = Trial(share=0.25, requests=20)
FAILING: list[Node] = [("Cast:INT64", ("x",), ("place",)), ("GatherElements", ("x", "place"), ("y",))]
"""Takes the element that the input names: there is no fifth in one row."""


@asynccontextmanager
async def plus(folder: Path) -> AsyncIterator[Server]:
    """Serve a model that doubles its input, in a first version."""
    write_plus(folder / "models" / "plus" / "1" / "model.onnx", times=1)
    async with serve_source(folder, folder_of(folder / "models")) as server:
        await server.repository.load("plus")
        yield server
        server.repository.close()


def second(folder: Path) -> Path:
    """Where its second version lies."""
    return folder / "models" / "plus" / "2" / "model.onnx"


async def ask(server: Server, most: int = 400) -> tuple[Counter[str], list[float]]:
    """Send requests until the trial is over; return which versions answered, and what."""
    length, body = encode_request(InferRequest(inputs={"x": np.full((1, 1), 5, np.float32)}, binary_output=False))
    versions, answers = Counter[str](), list[float]()
    async with Client(server.url) as client:
        for _ in range(most):
            answer = await client.send("plus", b"".join(body), length)
            versions[answer.model_version or ""] += 1
            answers.append(float(answer.outputs["y"].ravel()[0]))
            if not server.repository.rollouts:
                break
            await asyncio.sleep(0.005)
        for _ in range(100):
            if len(server.router.hosted) == 1:
                break
            await asyncio.sleep(0.02)
    return versions, answers


def load(url: str, parameters: Mapping[str, float]) -> tuple[int, str]:
    """Load the newest version as a client would; return the status, and what is said."""
    body = msgspec.json.encode({"parameters": parameters})
    request = Request(f"{url}/v2/repository/models/plus/load", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def listed(server: Server) -> dict[str, tuple[State, str]]:
    """What the index says of each version."""
    return {each.version: (each.state, each.reason) for each in server.repository.index()}


def said(server: Server) -> list[str]:
    """What was decided."""
    return [each.reason for each in server.repository.decisions]


async def test_one_that_holds_is_promoted(tmp_path: Path) -> None:
    """A quarter of the requests first, all of them then; the journal says why, and replays to the same."""
    async with plus(tmp_path) as server:
        write_plus(second(tmp_path), times=2)
        await server.repository.load("plus", trial=TRIAL)
        assert listed(server) == {"1": (State.READY, ""), "2": (State.READY, "on trial, with 25% of the requests")}
        assert server.repository.get("plus").version == "1"
        assert server.repository.get("plus", "2").version == "2"
        versions, answers = await ask(server)
        assert listed(server)["2"] == (State.READY, "")
        assert listed(server)["1"][0] is State.UNAVAILABLE
        assert server.repository.get("plus").version == "2"
        validate(server.router.scheduler)
    assert versions["2"] >= TRIAL.requests
    assert versions["1"] == pytest.approx(3 * versions["2"], rel=0.1)
    assert set(answers) == {10.0, 15.0}
    assert "promoted: 0 of" in said(server)[-1]
    assert any("replaced by version 2: 0 of" in line for line in changes(server.records))
    assert all(each.event.reason for each in server.records if isinstance(each.event, PlanChanged))
    assert replay(server.records) is None


async def test_one_that_fails_is_backed_out_and_no_client_notices(tmp_path: Path) -> None:
    """What fails there is answered by the former version."""
    async with plus(tmp_path) as server:
        tensors = [("x", "FLOAT", ("rows", 1)), ("y", "FLOAT", ("rows", 1))]
        write_model(second(tmp_path), FAILING, tensors[:1], tensors[1:])
        await server.repository.load("plus", trial=TRIAL)
        versions, answers = await ask(server)
        state, reason = listed(server)["2"]
        assert state is State.UNAVAILABLE
        assert re.match(r"backed out: (\d+) of \1 requests failed", reason)  # it may be a few before anybody looks
        assert server.repository.get("plus").version == "1"
    assert versions.keys() == {"1"}
    assert set(answers) == {10.0}
    assert "backed out" in said(server)[-1]


async def test_one_whose_answers_differ_is_backed_out_where_they_are_compared(tmp_path: Path) -> None:
    """With the former version's, to the same requests."""
    async with plus(tmp_path) as server:
        write_plus(second(tmp_path), times=2)
        await server.repository.load("plus", trial=msgspec.structs.replace(TRIAL, agreement=0.9))
        await ask(server)
        assert "answers differ from the former version's" in listed(server)["2"][1]
        await server.repository.load("plus", trial=Trial(share=0.0))
        assert server.repository.get("plus").version == "2"
        write_plus(tmp_path / "models" / "plus" / "3" / "model.onnx", times=2)
        await server.repository.load("plus", trial=msgspec.structs.replace(TRIAL, agreement=0.9))
        await ask(server)
        assert server.repository.get("plus").version == "3"


async def test_one_that_takes_other_inputs_is_not_tried(tmp_path: Path) -> None:
    """Its clients could not know what to send; the former version serves on, until it is replaced at once."""
    async with plus(tmp_path) as server:
        tensors: list[Any] = [("x", "FLOAT", ("rows", 2)), ("y", "FLOAT", ("rows", 2))]
        write_model(second(tmp_path), [("Add", ("x", "x"), ("y",))], tensors[:1], tensors[1:])
        for parameters, status, why in (
            ({"canary": 0.5}, 503, "other inputs or outputs"),
            ({"canary": 2}, 400, "canary is a share from 0 to 1"),
            ({"canary": 0}, 200, ""),
        ):
            if status == 200:
                assert server.repository.get("plus").version == "1"
                assert set(server.router.hosted) == {"plus"}
            answered, text = await asyncio.to_thread(load, server.url, parameters)
            assert answered == status
            assert why in text
        assert server.repository.get("plus").version == "2"


async def test_another_load_ends_a_trial(tmp_path: Path) -> None:
    """And so does to unload the model."""
    async with plus(tmp_path) as server:
        write_plus(second(tmp_path), times=2)
        await server.repository.load("plus", trial=TRIAL)
        write_plus(tmp_path / "models" / "plus" / "3" / "model.onnx", times=3)
        await server.repository.load("plus", trial=TRIAL)
        assert server.repository.rollouts["plus"].model.version == "3"
        assert "taken back: another was loaded" in said(server)[-2]
        await server.repository.unload("plus")
        assert server.repository.rollouts == {}
        assert not server.router.hosted
