"""Requests and responses over gRPC, against the messages of Triton's client."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tritonclient import grpc as triton
from tritonclient.grpc import _utils as their_utils
from tritonclient.grpc import service_pb2 as theirs
from tritonclient.utils import np_to_triton_dtype

from heterosis.serving.protocol import DATATYPES, InferRequest, InferResponse
from heterosis.serving.protocol.grpc.codec import (
    decode_infer_request,
    decode_infer_response,
    encode_infer_request,
    encode_infer_response,
    encode_streamed,
    read_infer_request,
)
from heterosis.serving.protocol.grpc.contents import FIELDS
from heterosis.serving.protocol.messages import RequestedOutput
from heterosis.terms.errors import HeterosisError, InvalidInputError

Array = np.ndarray[Any, Any]
NUMERIC = [datatype for datatype in FIELDS if datatype != "BYTES"]


def their_request(**tensor: Any) -> "theirs.ModelInferRequest":
    """Write a request with one input of two INT32s, its fields changed."""
    message = theirs.ModelInferRequest(model_name="m", model_version="1", id="r1")
    message.inputs.add(**{"name": "x", "datatype": "INT32", "shape": [2], **tensor})
    return message


@pytest.mark.parametrize("datatype", NUMERIC)
@given(data=st.data())
def test_typed_contents_are_read(datatype: str, data: st.DataObject) -> None:
    """Every data type that has them, extremes included."""
    dtype = np.dtype(DATATYPES[datatype])
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=2, max_side=5)))
    message = their_request(datatype=datatype, shape=array.shape)
    getattr(message.inputs[0].contents, FIELDS[datatype]).extend(array.ravel().tolist())
    got = decode_infer_request(message.SerializeToString()).inputs["x"]
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, array)


def test_typed_bytes_are_read() -> None:
    """Whether text or not."""
    message = their_request(datatype="BYTES")
    message.inputs[0].contents.bytes_contents.extend([b"\xff", b""])
    assert decode_infer_request(message.SerializeToString()).inputs["x"].tolist() == [b"\xff", b""]


@pytest.mark.parametrize("datatype", [*DATATYPES, "BF16"])
def test_raw_contents_of_triton_clients_are_read(datatype: str) -> None:
    """With the model, the id, the outputs that are asked for, and parameters."""
    dtype: Any = pytest.importorskip("ml_dtypes").bfloat16 if datatype == "BF16" else DATATYPES[datatype]
    array = np.array([[b"a", b""]], dtype=object) if datatype == "BYTES" else np.array([[0, 1]]).astype(dtype)
    sent = triton.InferInput("x", list(array.shape), datatype)
    sent.set_data_from_numpy(array)
    request = their_utils._get_inference_request(  # noqa: SLF001 - what its client sends
        inputs=[sent],
        model_name="m",
        model_version="2",
        request_id="r1",
        outputs=[triton.InferRequestedOutput("y", class_count=3)],
        sequence_id=0,
        sequence_start=False,
        sequence_end=False,
        priority=2,
        timeout=1500,
        parameters=None,
    )
    got = decode_infer_request(request.SerializeToString())
    asked, _ = read_infer_request(request.SerializeToString())
    assert (asked.model_name, asked.model_version, got.id) == ("m", "2", "r1")
    assert got.outputs == {"y": RequestedOutput(binary=True, classes=3)}
    assert (got.parameters["priority"], got.parameters["timeout"]) == (2, 1500)
    expected = array.astype(np.float32) if datatype == "BF16" else array
    np.testing.assert_array_equal(got.inputs["x"], expected)


@pytest.mark.parametrize("datatype", list(DATATYPES))
def test_responses_are_read_by_triton_clients_and_by_ours(datatype: str) -> None:
    """Two outputs, one empty, arrive as sent; parameters too."""
    dtype = DATATYPES[datatype]
    array = np.array([[b"a", b""]], dtype=object) if datatype == "BYTES" else np.array([[0, 1]]).astype(dtype)
    outputs = {"empty": np.zeros((0, 3), np.int32), "y": array}
    parameters: dict[str, str | int | float | bool] = {"emulated": True, "n": 3, "f": 0.5, "s": "t"}
    response = InferResponse(model_name="m", model_version="1", outputs=outputs, parameters=parameters)
    message = b"".join(encode_infer_response(response, InferRequest(id="r2", inputs={}, binary_output=True)))
    result = triton.InferResult(theirs.ModelInferResponse.FromString(message))
    assert result.get_response().id == "r2"
    assert result.as_numpy("empty").shape == (0, 3)
    np.testing.assert_array_equal(result.as_numpy("y"), array)
    assert np_to_triton_dtype(result.as_numpy("y").dtype) == datatype
    ours = decode_infer_response(message)
    assert ours.parameters == parameters
    np.testing.assert_array_equal(ours.outputs["y"], array)
    streamed = theirs.ModelStreamInferResponse.FromString(b"".join(encode_streamed([message])))
    assert streamed.infer_response == theirs.ModelInferResponse.FromString(message)


def test_our_requests_are_read_by_us() -> None:
    """Inputs, outputs, id and parameters arrive."""
    request = InferRequest(
        id="7", inputs={"x": np.arange(3)}, outputs={"y": RequestedOutput(binary=True)}, parameters={"timeout": 5}
    )
    got = decode_infer_request(encode_infer_request("m", request))
    assert (got.id, got.outputs, got.parameters) == ("7", request.outputs, {"timeout": 5})
    assert read_infer_request(encode_infer_request("m", request))[0].model_name == "m"
    np.testing.assert_array_equal(got.inputs["x"], np.arange(3))


def test_raw_inputs_are_not_copied() -> None:
    """Aligned or not, they are used in place."""
    for name in ("x", "xy", "xyz", "xyzz"):
        message = encode_infer_request("m", InferRequest(inputs={name: np.arange(1000, dtype=np.float32)}))
        array = decode_infer_request(message).inputs[name]
        assert np.shares_memory(array, np.frombuffer(message, np.uint8))
        np.testing.assert_array_equal(array, np.arange(1000))


def contents(**fields: Any) -> Any:
    """Typed contents."""
    return theirs.InferTensorContents(**fields)


WRONG: dict[str, tuple[Any, str]] = {
    "contents in another field": (their_request(contents=contents(int64_contents=[1, 2])), "in int_contents, not in"),
    "contents in two fields": (
        their_request(contents=contents(int_contents=[1, 2], bool_contents=[True])),
        "not in bool_contents",
    ),
    "too few elements": (their_request(contents=contents(int_contents=[1])), "has 1 elements"),
    "no elements": (their_request(), "has 0 elements"),
    "a number that does not fit": (
        their_request(datatype="INT8", contents=contents(int_contents=[1, 128])),
        "does not fit INT8",
    ),
    "FP16 in contents": (their_request(datatype="FP16", contents=contents(fp32_contents=[1, 2])), "no typed contents"),
    "an unknown data type": (their_request(datatype="INT31"), "unknown datatype"),
    "a negative length": (their_request(shape=[-1]), "negative"),
}


@pytest.mark.parametrize("case", WRONG)
def test_malformed_requests_are_refused(case: str) -> None:
    """The message says what is wrong."""
    message, text = WRONG[case]
    with pytest.raises(InvalidInputError, match=text):
        decode_infer_request(message.SerializeToString())


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ([b"\0" * 8, b"\0"], "1 of them for no input"),
        ([b"\0" * 7], "has 7 bytes of binary data"),
    ],
)
def test_raw_contents_must_match_the_inputs(raw: list[bytes], text: str) -> None:
    """In number and in size."""
    message = their_request()
    message.raw_input_contents.extend(raw)
    with pytest.raises(InvalidInputError, match=text):
        decode_infer_request(message.SerializeToString())


def test_data_in_two_places_is_refused() -> None:
    """Raw and typed."""
    message = their_request(contents=contents(int_contents=[1, 2]))
    message.raw_input_contents.append(b"\0" * 8)
    with pytest.raises(InvalidInputError, match="and its data elsewhere"):
        decode_infer_request(message.SerializeToString())


@given(st.binary(max_size=200))
def test_noise_is_refused_or_is_a_request(noise: bytes) -> None:
    """Nothing else comes out of it."""
    with contextlib.suppress(InvalidInputError):
        decode_infer_request(noise)


def test_an_answer_that_is_none_is_the_servers_fault() -> None:
    """It is no InvalidInputError."""
    with pytest.raises(HeterosisError, match="does not follow") as caught:
        decode_infer_response(b"\xff")
    assert caught.value.status == 500
