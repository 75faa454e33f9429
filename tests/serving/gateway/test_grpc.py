"""The gateway over gRPC, from outside: Triton's client, plain calls, and everything that a client can get wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from heterosis.scheduling import RequestArrived, RunBatch
from heterosis.serving.protocol import InferRequest
from heterosis.serving.protocol.grpc.codec import decode_infer_response, encode_infer_request
from heterosis.serving.protocol.grpc.stubs import health_pb2 as health
from heterosis.serving.protocol.grpc.stubs import inference_pb2 as pb
from tests.serving.conftest import Serve, Server

INFER = "/inference.GRPCInferenceService/ModelInfer"


def tensors(values: list[float], factor: int = 3, nap_ms: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of the toy pipeline."""
    return {
        "values": np.array(values, np.float32),
        "factor": np.array([factor], np.int64),
        "nap_ms": np.array([nap_ms], np.int64),
    }


def message(*, model: str = "toy", parameters: Any = None, **inputs: Any) -> bytes:
    """Write a request to the toy pipeline."""
    arrays = tensors([1, 2], **inputs)
    return encode_infer_request(model, InferRequest(inputs=arrays, parameters=parameters or {}, id="mine"))


async def ask(channel: grpc.aio.Channel, sent: bytes, **options: Any) -> Any:
    """Call ModelInfer."""
    return decode_infer_response(await channel.unary_unary(INFER)(sent, **options))


async def refused(channel: grpc.aio.Channel, sent: bytes, **options: Any) -> grpc.aio.AioRpcError:
    """Call ModelInfer in vain."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(channel, sent, **options)
    return caught.value


def batches(server: Server) -> int:
    """Batches sent to workers so far."""
    return sum(isinstance(effect, RunBatch) for record in server.records for effect in record.effects)


def inputs_of(arrays: dict[str, np.ndarray[Any, Any]], metadata: Any) -> list[Any]:
    """Inputs as Triton's client wants them."""
    inputs = []
    for each in metadata.inputs:
        tensor = triton.InferInput(each.name, list(arrays[each.name].shape), each.datatype)
        tensor.set_data_from_numpy(arrays[each.name])
        inputs.append(tensor)
    return inputs


async def test_tritons_client_gets_what_a_direct_call_gives(serving: Serve) -> None:
    """Health, metadata, configuration, inference with and without outputs named, statistics, all by its client."""

    def talk(url: str) -> Any:
        client = triton.InferenceServerClient(url)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("toy")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata().name == "heterosis"
        metadata = client.get_model_metadata("toy")
        assert [each.name for each in metadata.inputs] == ["values", "factor", "nap_ms"]
        config = client.get_model_config("toy").config
        assert (config.name, config.max_batch_size, config.input[0].dims) == ("toy", 0, [-1])
        before = client.get_inference_statistics("toy").model_stats[0].inference_stats.success
        inputs = inputs_of(tensors([1, 2]), metadata)
        result = client.infer("toy", inputs, request_id="mine")
        assert result.get_response().id == "mine"
        named = client.infer("toy", inputs, outputs=[triton.InferRequestedOutput("output")])
        assert named.as_numpy("output").tolist() == result.as_numpy("output").tolist()
        after = client.get_inference_statistics("toy").model_stats[0].inference_stats.success
        assert after.count == before.count + 2
        assert after.ns > before.ns
        return result.as_numpy("output")

    async with serving(grpc_port=0) as server:
        answer = await asyncio.to_thread(talk, server.grpc)
        direct = await server.model.servable.pipeline(values=np.array([1, 2], np.float32), factor=3, nap_ms=0)
    assert answer.tolist() == direct == [6.0, 12.0]


async def test_a_stream_answers_as_results_come(serving: Serve) -> None:
    """Requests run side by side; errors are answers, too, and the stream goes on."""

    def talk(url: str) -> Any:
        answers: list[Any] = []
        client = triton.InferenceServerClient(url)
        metadata = client.get_model_metadata("toy")
        client.start_stream(lambda result, error: answers.append(error or result.as_numpy("output").tolist()))
        for factor, nap_ms in ((1, 400), (13, 0), (2, 0)):
            client.async_stream_infer("toy", inputs_of(tensors([1], factor, nap_ms), metadata))
        client.stop_stream()
        return answers

    async with serving(grpc_port=0) as server:
        unlucky, quick, slow = await asyncio.to_thread(talk, server.grpc)
    assert "13 is unlucky" in str(unlucky)
    assert (quick, slow) == ([4.0], [2.0])


WRONG: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no message": (lambda: b"\xff", "INVALID_ARGUMENT", "message"),
    "an unknown model": (lambda: message(model="other"), "NOT_FOUND", "Request for unknown model: 'other'"),
    "no inputs": (lambda: encode_infer_request("toy", InferRequest(inputs={})), "INVALID_ARGUMENT", "missing input"),
    "an unknown priority": (lambda: message(parameters={"priority": -1}), "INVALID_ARGUMENT", "priority"),
    "a body past the limit": (lambda: b"\x1a\x90\x4e" + b"x" * 10_000, "RESOURCE_EXHAUSTED", "larger than max"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_a_client_sends_wrong_is_named_and_reaches_no_worker(serving: Serve, case: str) -> None:
    """Each mistake has a status and a message; the next request is served."""
    sent, status, text = WRONG[case]
    async with serving(grpc_port=0, max_body_bytes=5_000) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        error = await refused(channel, sent())
        assert (error.code().name, text in str(error.details())) == (status, True), error.details()
        assert batches(server) == 0
        assert (await ask(channel, message())).outputs["output"].tolist() == [6.0, 12.0]


async def test_a_stage_that_raises_is_named(serving: Serve) -> None:
    """With the status INTERNAL."""
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        error = await refused(channel, message(factor=13))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "stage 'scale' failed: ValueError: 13 is unlucky" in str(error.details())


async def test_the_deadline_of_a_call_is_that_of_the_request(serving: Serve) -> None:
    """Past it, or the timeout in its parameters, the client has an answer, and nothing is left of the request."""
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        loop = asyncio.get_running_loop()
        for options in ({"timeout": 0.1}, {}):
            started = loop.time()
            parameters = {} if options else {"timeout": 100_000}
            error = await refused(channel, message(nap_ms=1500, parameters=parameters), **options)
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert loop.time() - started < 1.0
        await asyncio.sleep(0.1)
        outcomes = server.model.statistics.outcomes
        assert outcomes["failed"] + outcomes["cancelled"] == 2


@pytest.mark.parametrize("timeout_s", [60.0, 300.0])
async def test_calls_with_one_timeout_do_not_overtake_each_other(serving: Serve, timeout_s: float) -> None:
    """Though gRPC sends a minute now as 60.0 s and now as 60.1."""
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        await asyncio.gather(*(ask(channel, message(), timeout=timeout_s) for _ in range(40)))
        requests = [each.event.request for each in server.records if isinstance(each.event, RequestArrived)]
    left_s = {round(each.deadline - each.arrival, 3) for each in requests}
    assert len(requests) == 40
    assert left_s == {timeout_s}


async def test_a_cancelled_call_frees_its_request(serving: Serve) -> None:
    """The model counts it as cancelled, and serves on."""
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(INFER)(message(nap_ms=1000))
        await asyncio.sleep(0.2)
        call.cancel()
        async with asyncio.timeout(5):
            while not server.model.statistics.outcomes["cancelled"]:  # noqa: ASYNC110 - a count offers no event
                await asyncio.sleep(0.01)
        assert (await ask(channel, message())).id == "mine"


async def test_a_refusal_says_when_to_come_back(serving: Serve) -> None:
    """In the metadata by which gRPC clients know."""
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        sent = message(nap_ms=20, parameters={"timeout": 400_000})
        answers = await asyncio.gather(*(ask(channel, sent) for _ in range(100)), return_exceptions=True)
    errors = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    refusals = [each for each in errors if each.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert refusals
    assert all(int(dict(each.trailing_metadata())["grpc-retry-pushback-ms"]) >= 0 for each in refusals)


async def test_the_health_service_knows_server_and_models(serving: Serve) -> None:
    """It answers and watches; while all is loading it says so."""
    async with serving(grpc_port=0, wait=False) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")

        async def status(service: str) -> int:
            asked = health.HealthCheckRequest(service=service).SerializeToString()
            return int(health.HealthCheckResponse.FromString(await check(asked)).status)

        assert await status("") == health.HealthCheckResponse.NOT_SERVING
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert (
            health.HealthCheckResponse.FromString(await watch.read()).status == health.HealthCheckResponse.NOT_SERVING
        )
        assert health.HealthCheckResponse.FromString(await watch.read()).status == health.HealthCheckResponse.SERVING
        for service in ("", "toy", "inference.GRPCInferenceService"):
            assert await status(service) == health.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="unknown model"):
            await status("other")


async def test_typed_contents_are_served(serving: Serve) -> None:
    """As gRPC clients without numpy send them."""
    request = pb.ModelInferRequest(model_name="toy")
    request.inputs.add(name="values", datatype="FP32", shape=[2]).contents.fp32_contents.extend([1, 2])
    for name, value in (("factor", 3), ("nap_ms", 0)):
        request.inputs.add(name=name, datatype="INT64", shape=[1]).contents.int64_contents.append(value)
    async with serving(grpc_port=0) as server, grpc.aio.insecure_channel(server.grpc) as channel:
        answer = await ask(channel, request.SerializeToString())
    assert answer.outputs["output"].tolist() == [6.0, 12.0]


async def test_models_are_listed_unloaded_and_loaded(serving: Serve) -> None:
    """By Triton's client; what is not loaded is not ready, and what cannot be is an error that says so."""

    def talk(url: str) -> None:
        client = triton.InferenceServerClient(url)
        assert [each.state for each in client.get_model_repository_index().models] == ["READY"]
        client.unload_model("toy")
        assert not client.is_model_ready("toy")
        (listed,) = client.get_model_repository_index().models
        assert (listed.name, listed.state, listed.reason) == ("toy", "UNAVAILABLE", "unloaded")
        with pytest.raises(InferenceServerException, match="failed to load 'other'"):
            client.load_model("other")
        with pytest.raises(InferenceServerException, match=r"failed to load 'toy'.*file:1"):
            client.load_model("toy", config="{}", files={"file:1/model.onnx": b"x"})
        client.load_model("toy")
        assert client.is_model_ready("toy")

    async with serving(grpc_port=0) as server:
        await asyncio.to_thread(talk, server.grpc)
