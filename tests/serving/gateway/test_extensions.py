"""The extensions of the protocol over HTTP, by Triton's client."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException
from tritonclient.utils import shared_memory as shm

from heterosis.pipeline.model import STAGE, ModelPipeline
from heterosis.serving.models import Servable
from heterosis.serving.repository import FixedSource
from heterosis.testing import make_plan, make_variant
from heterosis.testing.onnx_models import write_simple
from tests.serving.conftest import Serve, serve_source

Client = Any


@pytest.fixture
def talk(serving: Serve) -> Callable[..., Any]:
    """Run a conversation of Triton's client with a server of the toy pipeline."""

    async def run(conversation: Callable[[Client], None], **options: Any) -> None:
        async with serving(**options) as server:
            client = triton.InferenceServerClient(server.url.removeprefix("http://"))
            await asyncio.to_thread(conversation, client)
            client.close()

    return run


def inputs(values: list[float], *, binary: bool = True) -> list[Any]:
    """A request to the toy pipeline."""
    arrays = {"values": np.array(values, np.float32), "factor": np.array([3]), "nap_ms": np.array([0])}
    made = []
    for name, array in arrays.items():
        made.append(triton.InferInput(name, list(array.shape), "FP32" if name == "values" else "INT64"))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


async def test_configuration(talk: Callable[..., Any]) -> None:
    """What perf_analyzer asks before it starts; of a version, too."""

    def conversation(client: Client) -> None:
        config = client.get_model_config("toy")
        assert config == client.get_model_config("toy", model_version="1")
        assert (config["name"], config["max_batch_size"]) == ("toy", 0)
        assert config["input"][0] == {"name": "values", "data_type": "TYPE_FP32", "dims": [-1]}
        assert config["model_transaction_policy"] == {"decoupled": False}
        with pytest.raises(InferenceServerException, match="unknown model"):
            client.get_model_config("other")

    await talk(conversation)


@pytest.mark.parametrize(("batched", "most", "dims"), [(True, 8, [16]), (False, 0, [-1, 16])])
async def test_configuration_of_a_planned_model(tmp_path: Path, *, batched: bool, most: int, dims: list[int]) -> None:
    """Of a model whose rows may be joined the plan's batches count, and shapes go without their axis."""
    path = write_simple(tmp_path / "sums.onnx")
    variant = make_variant(STAGE, model=path.stem, engine="onnxruntime", artifact=str(path))
    plan = make_plan({STAGE: 1.0}, max_batch=8, slo_ms=5000, variants={STAGE: variant}, pipeline="sums")
    pipeline = ModelPipeline(path, "sums", batched=batched)
    servable = Servable(pipeline=pipeline, target=str(path), plan=plan, warm_up=lambda *_: ())

    def conversation(client: Client) -> None:
        config = client.get_model_config("sums")
        assert config["max_batch_size"] == most
        assert [each["dims"] for each in (*config["input"], *config["output"])] == [dims] * 4
        assert ("dynamic_batching" in config) == batched

    async with serve_source(tmp_path, FixedSource(servable)) as server:
        await server.repository.load("sums")
        client = triton.InferenceServerClient(server.url.removeprefix("http://"))
        await asyncio.to_thread(conversation, client)
        client.close()


async def test_statistics(talk: Callable[..., Any]) -> None:
    """What perf_analyzer reads before and after: the difference is what was done in between."""

    def conversation(client: Client) -> None:
        before = client.get_inference_statistics("toy")["model_stats"][0]
        for _ in range(3):
            client.infer("toy", inputs([1, 2]))
        (after,) = client.get_inference_statistics("toy", model_version="1")["model_stats"]
        assert client.get_inference_statistics()["model_stats"] == [after]
        success = after["inference_stats"]["success"]
        assert success["count"] == before["inference_stats"]["success"]["count"] + 3
        assert success["ns"] > before["inference_stats"]["success"]["ns"]
        assert after["inference_stats"]["compute_infer"]["ns"] > 0
        for part in ("queue", "compute_input", "compute_infer", "compute_output"):
            assert after["inference_stats"][part]["count"] == success["count"]  # perf_analyzer insists
        assert after["inference_count"] == sum(
            each["batch_size"] * each["compute_infer"]["count"] for each in after["batch_stats"]
        )
        assert after["last_inference"] > before["last_inference"]
        with pytest.raises(InferenceServerException, match="unknown model"):
            client.get_inference_statistics("other")

    await talk(conversation)


async def test_repository(talk: Callable[..., Any]) -> None:
    """A model is listed, unloaded and loaded again; a refusal says that it was not loaded."""

    def conversation(client: Client) -> None:
        assert client.get_model_repository_index() == [{"name": "toy", "version": "1", "state": "READY", "reason": ""}]
        client.unload_model("toy")
        assert not client.is_model_ready("toy")
        assert client.is_server_live()
        with pytest.raises(InferenceServerException, match="unloaded"):
            client.infer("toy", inputs([1, 2]))
        for name, options in (("other", {}), ("toy", {"config": '"parameters": {"config": {{"x": "16"}}}'})):
            with pytest.raises(InferenceServerException, match="failed to load"):
                client.load_model(name, **options)
        client.load_model("toy", config='{"max_batch_size":"4"}')
        assert client.infer("toy", inputs([1, 2])).as_numpy("output").tolist() == [6.0, 12.0]

    await talk(conversation)


async def test_only_what_is_ready_can_be_asked_for(serving: Serve) -> None:
    """The index leaves the others out."""
    async with serving() as server, aiohttp.ClientSession(server.url) as client:
        await client.post("/v2/repository/models/toy/unload")
        for body, count in (({"ready": True}, 0), ({"ready": False}, 1), ({}, 1)):
            async with client.post("/v2/repository/index", json=body) as answer:
                assert len(await answer.json()) == count
        async with client.post("/v2/repository/index", json={"ready": "yes"}) as answer:
            assert answer.status == 400


async def test_system_shared_memory(talk: Callable[..., Any]) -> None:
    """Input and output in regions of the client's; regions are told of, and forgotten."""

    def conversation(client: Client) -> None:
        client.unregister_system_shared_memory()
        client.unregister_cuda_shared_memory()
        assert client.get_cuda_shared_memory_status() == []
        handles = [shm.create_shared_memory_region(name, f"/toy_{name}", 64) for name in ("in", "out")]
        try:
            shm.set_shared_memory_region(handles[0], [np.array([1, 2], np.float32)], offset=8)
            for name in ("in", "out"):
                client.register_system_shared_memory(name, f"/toy_{name}", 64)
            asked = inputs([0, 0])
            asked[0].set_shared_memory("in", 8, offset=8)
            output = triton.InferRequestedOutput("output")
            output.set_shared_memory("out", 32, offset=16)
            result = client.infer("toy", asked, outputs=[output]).get_output("output")
            assert (result["datatype"], result["shape"]) == ("FP64", [2])
            got = shm.get_contents_as_numpy(handles[1], np.float64, [2], offset=16)
            assert got.tolist() == [6.0, 12.0]
            status = client.get_system_shared_memory_status("out")
            assert status == [{"name": "out", "key": "/toy_out", "offset": 0, "byte_size": 64}]
            output.set_shared_memory("out", 8)
            with pytest.raises(InferenceServerException, match="does not fit"):
                client.infer("toy", asked, outputs=[output])
            client.unregister_system_shared_memory("out")
            assert [each["name"] for each in client.get_system_shared_memory_status()] == ["in"]
            with pytest.raises(InferenceServerException, match="no shared memory region 'out'"):
                client.infer("toy", asked, outputs=[output])
            with pytest.raises(InferenceServerException, match="no CUDA"):
                client.register_cuda_shared_memory("gpu", b"handle", 0, 8)
        finally:
            for handle in handles:
                shm.destroy_shared_memory_region(handle)

    await talk(conversation)


async def test_classification(talk: Callable[..., Any]) -> None:
    """The largest elements, as text with their positions."""

    def conversation(client: Client) -> None:
        output = triton.InferRequestedOutput("output", class_count=2)
        result = client.infer("toy", inputs([1, 3, 2]), outputs=[output])
        assert result.as_numpy("output").tolist() == [b"18.000000:1", b"12.000000:2"]

    await talk(conversation)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_compressed_requests(talk: Callable[..., Any], algorithm: str) -> None:
    """Are unfolded, but not past the limit."""

    def conversation(client: Client) -> None:
        options = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
        result = client.infer("toy", inputs([1, 2], binary=algorithm == "gzip"), **options)
        assert result.as_numpy("output").tolist() == [6.0, 12.0]
        with pytest.raises(InferenceServerException, match="more than 5000 bytes"):
            client.infer("toy", inputs([0.0] * 2000), **options)

    await talk(conversation, max_body_bytes=5000)


async def test_a_server_can_be_given_a_name(talk: Callable[..., Any]) -> None:
    """Some clients insist on one."""

    def conversation(client: Client) -> None:
        metadata = client.get_server_metadata()
        assert metadata["name"] == "triton"
        assert {"binary_tensor_data", "model_repository", "statistics"} <= set(metadata["extensions"])

    await talk(conversation, name="triton")
