"""What the example programs of Triton's Python client check, on the models that they are about, served as plain files.

The programs themselves (triton-inference-server/client, src/python/examples) are not ours to copy; `docs/serving.md`
says which of them run.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http.aio as http_aio
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton_http
from tritonclient.utils import InferenceServerException, serialize_byte_tensor
from tritonclient.utils import shared_memory as shm

from heterosis.testing.onnx_models import write_triton_examples

Array = np.ndarray[Any, Any]
MODULES = {"http": triton_http, "grpc": triton_grpc}
NUMBERS = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server of the three models, in a process of its own: where it listens, by protocol."""
    folder = write_triton_examples(tmp_path_factory.mktemp("models"))
    command = [sys.executable, "-m", "heterosis.cli", "serve", str(folder), "--port", "0", "--grpc-port", "0"]
    command += ["--json", "--quiet", "--server-name", "triton"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:  # noqa: S603
        assert server.stdout is not None
        said = msgspec.json.decode(server.stdout.readline())
        yield {"http": said["url"].removeprefix("http://"), "grpc": said["grpc"]}
        server.send_signal(signal.SIGINT)
        assert server.wait(40) == 0


@pytest.fixture(params=list(MODULES))
def client(request: pytest.FixtureRequest, listening: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """A client, and the module that it is from."""
    module = MODULES[request.param]
    made = module.InferenceServerClient(listening[request.param])
    yield made, module
    made.close()


def inputs_of(module: Any, arrays: Sequence[Array], datatype: str = "INT32", **options: Any) -> list[Any]:
    """INPUT0, INPUT1 … from arrays."""
    made = []
    for number, array in enumerate(arrays):
        made.append(module.InferInput(f"INPUT{number}", list(array.shape), datatype))
        made[-1].set_data_from_numpy(array, **options)
    return made


def outputs_of(module: Any, **options: Any) -> list[Any]:
    """OUTPUT0 and OUTPUT1."""
    return [module.InferRequestedOutput(f"OUTPUT{number}", **options) for number in (0, 1)]


def check(result: Any, first: Array = NUMBERS, second: Array = ONES) -> None:
    """Sum and difference."""
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), first + second)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), first - second)


def texts(array: Array) -> Array:
    """Numbers written as text."""
    return np.array([str(number).encode() for number in array.ravel()], dtype=object).reshape(array.shape)


def test_health_and_metadata(client: tuple[Any, Any]) -> None:
    """Health, metadata and configuration; a model that there is not is named in the words that clients look for."""
    made, _ = client
    assert made.is_server_live()
    assert made.is_server_ready()
    assert made.is_model_ready("simple")
    found = made.get_model_config("simple", **({"as_json": True} if client[1] is triton_grpc else {}))
    config = found.get("config", found)
    assert (config["name"], [each["dims"] for each in config["input"]]) in (
        ("simple", [[16], [16]]),
        ("simple", [["16"], ["16"]]),
    )
    assert config["max_batch_size"] > 0
    with pytest.raises(InferenceServerException, match=r"^\[.*\] Request for unknown model"):
        made.get_model_metadata("wrong_model_name")


def test_inference_with_and_without_outputs_named(client: tuple[Any, Any]) -> None:
    """Unknown models and statistics, too; objects of one request are used for the next."""
    made, module = client
    inputs, outputs = inputs_of(module, [NUMBERS, ONES]), outputs_of(module)
    check(made.infer("simple", inputs, outputs=outputs, headers={"test": "1"}))
    check(made.infer("simple", inputs))
    inputs[1].set_data_from_numpy(-ONES)
    check(made.infer("simple", inputs, outputs=outputs), NUMBERS, -ONES)
    statistics = made.get_inference_statistics("simple")
    assert len(statistics["model_stats"] if module is triton_http else statistics.model_stats) == 1
    with pytest.raises(InferenceServerException, match="Request for unknown model"):
        made.infer("wrong_model_name", inputs)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_json_and_binary_can_be_mixed(listening: dict[str, str], *, given: bool, wanted: bool) -> None:
    """Each tensor travels in the form that the client likes."""
    made = triton_http.InferenceServerClient(listening["http"])
    inputs = [
        *inputs_of(triton_http, [NUMBERS], binary_data=given),
        *inputs_of(triton_http, [NUMBERS, ONES], binary_data=not given)[1:],
    ]
    outputs = [
        triton_http.InferRequestedOutput("OUTPUT0", binary_data=wanted),
        triton_http.InferRequestedOutput("OUTPUT1", binary_data=not wanted),
    ]
    check(made.infer("simple", inputs, outputs=outputs, query_params={"test_1": 1}))


def test_text(client: tuple[Any, Any]) -> None:
    """Numbers as text; text as it comes, empty and beyond ASCII."""
    made, module = client
    result = made.infer("simple_string", inputs_of(module, [texts(NUMBERS), texts(ONES)], "BYTES"))
    assert result.as_numpy("OUTPUT0").astype(int).tolist() == (NUMBERS + ONES).tolist()
    for words in ([b"a", b"", "zürich".encode(), b"\x00"], [b""] * 3):
        array = np.array([words], dtype=object)
        result = made.infer("simple_identity", inputs_of(module, [array], "BYTES"))
        assert result.as_numpy("OUTPUT0").tolist() == [words]


def test_requests_at_one_time(listening: dict[str, str]) -> None:
    """The clients' own asynchronous forms, over HTTP and gRPC."""
    http = triton_http.InferenceServerClient(listening["http"], concurrency=4)
    waiting = [http.async_infer("simple", inputs_of(triton_http, [NUMBERS, ONES])) for _ in range(8)]
    for each in waiting:
        check(each.get_result())
    grpc = triton_grpc.InferenceServerClient(listening["grpc"])
    answers: list[Any] = []
    for _ in range(8):
        inputs = inputs_of(triton_grpc, [NUMBERS, ONES])
        grpc.async_infer("simple", inputs, callback=lambda result, error: answers.append(error or result))
    grpc.start_stream(lambda result, error: answers.append(error or result))
    grpc.async_stream_infer("simple", inputs_of(triton_grpc, [NUMBERS, ONES]))
    grpc.stop_stream()
    for each in answers:
        check(each)
    http.close()
    grpc.close()


async def test_clients_on_an_event_loop(listening: dict[str, str]) -> None:
    """Over HTTP and gRPC."""
    for name, module, plain in (("http", http_aio, triton_http), ("grpc", grpc_aio, triton_grpc)):
        async with module.InferenceServerClient(listening[name]) as made:
            inputs = inputs_of(plain, [NUMBERS, ONES])
            for result in await asyncio.gather(*(made.infer("simple", inputs) for _ in range(4))):
                check(result)


def test_options_of_the_channel(listening: dict[str, str]) -> None:
    """Keepalive and limits that a client sets."""
    alive = triton_grpc.KeepAliveOptions(keepalive_time_ms=2**31 - 1, keepalive_timeout_ms=20_000)
    for options in ({"keepalive_options": alive}, {"channel_args": [("grpc.max_receive_message_length", 1 << 20)]}):
        made = triton_grpc.InferenceServerClient(listening["grpc"], **options)
        check(made.infer("simple", inputs_of(triton_grpc, [NUMBERS, ONES])))
        made.close()


def test_text_in_shared_memory(client: tuple[Any, Any]) -> None:
    """Inputs read from regions of the client's, outputs written to them."""
    made, module = client
    made.unregister_system_shared_memory()
    given = [serialize_byte_tensor(texts(array)) for array in (NUMBERS, ONES)]
    handles = []
    try:
        for number, data in enumerate(given):
            for kind, size in (("input", len(data.item())), ("output", 200)):
                name = f"{kind}{number}"
                handles.append(shm.create_shared_memory_region(name, f"/{name}_{module.__name__}", size))
                made.register_system_shared_memory(name, f"/{name}_{module.__name__}", size)
                if kind == "input":
                    shm.set_shared_memory_region(handles[-1], [data])
        inputs = [module.InferInput(f"INPUT{number}", [1, 16], "BYTES") for number in (0, 1)]
        outputs = outputs_of(module)
        for number in (0, 1):
            inputs[number].set_shared_memory(f"input{number}", len(given[number].item()))
            outputs[number].set_shared_memory(f"output{number}", 200)
        assert made.infer("simple_string", inputs, outputs=outputs).get_output("OUTPUT0") is not None
        for handle, expected in ((handles[1], NUMBERS + ONES), (handles[3], NUMBERS - ONES)):
            got = shm.get_contents_as_numpy(handle, np.object_, [1, 16])
            assert got.astype(int).tolist() == expected.tolist()
        status = made.get_system_shared_memory_status()
        assert len(status if module is triton_http else status.regions) == 4
    finally:
        made.unregister_system_shared_memory()
        for handle in handles:
            shm.destroy_shared_memory_region(handle)


def test_models_are_controlled(client: tuple[Any, Any]) -> None:
    """Loaded with another largest batch, which the configuration then says; unloaded; what is wrong is said."""
    made, module = client
    index = made.get_model_repository_index()
    assert len(index if module is triton_http else index.models) == 3
    made.load_model("simple_identity")
    for config in ('"parameters": {"config": {{"max_batch_size": "16"}}}', '{"max_batch_size": "-1"}'):
        with pytest.raises(InferenceServerException, match="failed to load"):
            made.load_model("simple_identity", config=config)
    made.load_model("simple_identity", config='{"max_batch_size": "16"}')
    found = made.get_model_config("simple_identity")
    assert (found["max_batch_size"] if module is triton_http else found.config.max_batch_size) == 16
    made.unload_model("simple_identity")
    assert not made.is_model_ready("simple_identity")
    made.load_model("simple_identity")
    assert made.is_model_ready("simple_identity")
    with pytest.raises(InferenceServerException, match="failed to load 'wrong_model_name'"):
        made.load_model("wrong_model_name")
