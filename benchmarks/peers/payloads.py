"""What is sent to a server, and how its answer is read: the same tensor in the forms that the servers take."""

import json
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from benchmarks.peers.models import INPUT, OUTPUT, WIDTH, Array

GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"
BINARY_LENGTH = "inference-header-content-length"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One request, encoded once. ``path`` is a path of HTTP, or the full name of a method of gRPC."""

    path: str
    body: bytes
    headers: Mapping[str, str] = {}
    grpc: bool = False


class Form(msgspec.Struct, frozen=True):
    """A way to send a tensor (with its batch axis of one) and to read what comes back, headers in lower case."""

    encode: Callable[[Array], Target]
    read: Callable[[bytes, Mapping[str, str]], Array]


def oip_binary(model: str, output: str = OUTPUT) -> Form:
    """The Open Inference Protocol over HTTP with the binary tensor extension, in and out."""

    def encode(tensor: Array) -> Target:
        raw = tensor.tobytes()
        tensor_head = _tensor(tensor) | {"parameters": {"binary_data_size": len(raw)}}
        head = json.dumps(
            {"inputs": [tensor_head], "outputs": [{"name": output, "parameters": {"binary_data": True}}]}
        ).encode()
        headers = {"Content-Type": "application/octet-stream", BINARY_LENGTH: str(len(head))}
        return Target(path=_infer(model), body=head + raw, headers=headers)

    def read(body: bytes, headers: Mapping[str, str]) -> Array:
        return _floats(body[int(headers[BINARY_LENGTH]) :])

    return Form(encode, read)


def oip_json(model: str) -> Form:
    """The Open Inference Protocol over HTTP, tensors as flat lists."""

    def encode(tensor: Array) -> Target:
        body = f'{{"inputs":[{json.dumps(_tensor(tensor))[:-1]},"data":{_numbers(tensor.ravel())}}}]}}'
        return Target(path=_infer(model), body=body.encode(), headers={"Content-Type": "application/json"})

    def read(body: bytes, _: Mapping[str, str]) -> Array:
        return np.array(json.loads(body)["outputs"][0]["data"], np.float32).ravel()

    return Form(encode, read)


def oip_grpc(model: str) -> Form:
    """The Open Inference Protocol over gRPC, raw contents in and out."""
    from tritonclient.grpc import service_pb2

    def encode(tensor: Array) -> Target:
        described = service_pb2.ModelInferRequest.InferInputTensor(
            name=INPUT, datatype="FP32", shape=list(tensor.shape)
        )
        message = service_pb2.ModelInferRequest(
            model_name=model, inputs=[described], raw_input_contents=[tensor.tobytes()]
        )
        return Target(path=GRPC_METHOD, body=message.SerializeToString(), grpc=True)

    def read(body: bytes, _: Mapping[str, str]) -> Array:
        answer = service_pb2.ModelInferResponse.FromString(body)
        if answer.raw_output_contents:
            return _floats(answer.raw_output_contents[0])
        return np.array(answer.outputs[0].contents.fp32_contents, np.float32)

    return Form(encode, read)


def raw(path: str) -> Form:
    """The bytes of the tensor and nothing else, in and out."""

    def encode(tensor: Array) -> Target:
        headers = {"Content-Type": "application/octet-stream"}
        return Target(path=path, body=tensor.tobytes(), headers=headers)

    return Form(encode, lambda body, _: _floats(body))


def plain_json(path: str, *, batch_axis: bool = False) -> Form:
    """``{"data": numbers}`` in, nested like the tensor of one item; an array, or an object that holds one, out."""

    def encode(tensor: Array) -> Target:
        body = f'{{"data":{_numbers(tensor if batch_axis else tensor[0])}}}'.encode()
        return Target(path=path, body=body, headers={"Content-Type": "application/json"})

    return Form(encode, lambda body, _: _found(json.loads(body)))


def multipart(path: str, *, raw_out: bool = False) -> Form:
    """The bytes of the tensor as an uploaded file; JSON out, or the bytes of a tensor."""

    def encode(tensor: Array) -> Target:
        edge = "heterosis-benchmark"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n'
        kind = "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + kind.encode() + tensor.tobytes() + f"\r\n--{edge}--\r\n".encode()
        return Target(path=path, body=body, headers={"Content-Type": f"multipart/form-data; boundary={edge}"})

    return Form(encode, lambda body, _: _floats(body) if raw_out else _found(json.loads(body)))


def _infer(model: str) -> str:
    return f"/v2/models/{model}/infer"


def _tensor(tensor: Array) -> dict[str, object]:
    return {"name": INPUT, "shape": list(tensor.shape), "datatype": "FP32"}


def _numbers(tensor: Array) -> str:
    """Write each number as briefly as float32 allows."""
    if tensor.ndim > 1:
        return f"[{','.join(map(_numbers, tensor))}]"
    return f"[{','.join(map(str, tensor))}]"


def _floats(data: bytes) -> Array:
    return np.frombuffer(data, np.float32, count=WIDTH)


def _found(answer: object) -> Array:
    while isinstance(answer, dict):
        answer = next(iter(answer.values()))
    return np.array(answer, np.float32).ravel()
