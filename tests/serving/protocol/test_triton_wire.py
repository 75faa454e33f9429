"""Triton's own Python client understands what is sent, and is understood."""

from typing import Any

import numpy as np
import pytest

from heterosis.serving.protocol import (
    DATATYPES,
    InferRequest,
    InferResponse,
    RequestedOutput,
    decode_request,
    encode_response,
)
from heterosis.serving.protocol.parameters import priority, relative_timeout_ms

triton = pytest.importorskip("tritonclient.http")
Array = np.ndarray[Any, Any]


def array_of(datatype: str) -> Array:
    """Return a small array of each data type, its extremes included."""
    if datatype == "BYTES":
        return np.array([["zürich".encode(), b""], [b"c", b"[1]"]], dtype=object)
    dtype = np.dtype(DATATYPES[datatype])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.array([[info.min, info.max], [0, 1]], dtype=dtype)
    return np.array([[0, 1], [1, 0.5]]).astype(dtype)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", list(DATATYPES))
def test_requests_of_triton_clients_are_read(datatype: str, binary: bool) -> None:  # noqa: FBT001
    """Inputs, wishes for outputs, timeout and priority arrive as the client set them."""
    array = array_of(datatype)
    sent = triton.InferInput("x", list(array.shape), datatype)
    sent.set_data_from_numpy(array, binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body(
        [sent],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
        request_id="r1",
        priority=2,
        timeout=1500,
    )
    got = decode_request(body, length)
    assert (got.id, got.outputs) == ("r1", {"y": RequestedOutput(binary=binary)})
    assert (relative_timeout_ms(got.parameters), priority(got.parameters)) == (1.5, 2)
    assert got.inputs["x"].dtype == array.dtype
    np.testing.assert_array_equal(got.inputs["x"], array)


def test_triton_clients_want_binary_by_default() -> None:
    """A Triton client that names no outputs gets all of them in binary form."""
    sent = triton.InferInput("x", [1], "FP32")
    sent.set_data_from_numpy(np.zeros(1, dtype=np.float32))
    body, length = triton.InferenceServerClient.generate_request_body([sent])
    assert decode_request(body, length).wanted("anything").binary


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", list(DATATYPES))
def test_responses_are_read_by_triton_clients(datatype: str, binary: bool) -> None:  # noqa: FBT001
    """Two outputs, one empty, arrive as sent."""
    array = array_of(datatype)
    response = InferResponse(model_name="m", outputs={"empty": np.zeros((0, 3), dtype=np.int32), "y": array})
    length, parts = encode_response(response, InferRequest(id="r2", inputs={}, binary_output=binary))
    result = triton.InferResult.from_response_body(b"".join(parts), header_length=length)
    assert result.get_response()["id"] == "r2"
    assert result.as_numpy("empty").shape == (0, 3)
    expected = array if binary or datatype != "BYTES" else np.vectorize(bytes.decode, otypes=[object])(array)
    np.testing.assert_array_equal(result.as_numpy("y"), expected)
