"""The Open Inference Protocol: round trips, what is refused, and Triton's own client on the other side."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heterosis.serving.protocol import (
    DATATYPES,
    InferRequest,
    InferResponse,
    ModelMetadata,
    RequestedOutput,
    TensorMetadata,
    decode_error,
    decode_request,
    decode_response,
    encode_error,
    encode_request,
    encode_response,
)
from heterosis.terms import TensorSpec
from heterosis.terms.errors import HeterosisError, InvalidInputError

Array = np.ndarray[Any, Any]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def body_of(parts: list[Any]) -> bytes:
    """Join the parts of a body, as a connection does."""
    return b"".join(parts)


def infer_json(**fields: Any) -> bytes:
    """Write a request with one input, some of its fields replaced; a field of None is left out."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2], **fields}
    return json.dumps({"inputs": [{name: value for name, value in tensor.items() if value is not None}]}).encode()


def text_arrays(elements: st.SearchStrategy[bytes]) -> st.SearchStrategy[Array]:
    """Object arrays of bytes."""
    return hnp.arrays(object, SHAPES, elements=elements, fill=st.nothing())


def number_arrays(*, finite: bool) -> st.SearchStrategy[Array]:
    """Arrays of every other data type."""
    return st.sampled_from([dtype for dtype in DATATYPES.values() if dtype != "bytes"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            SHAPES,
            elements=hnp.from_dtype(np.dtype(dtype), allow_nan=not finite, allow_infinity=not finite),
        )
    )


def assert_same(got: Array, sent: Array) -> None:
    """Same data type, shape and elements; NaN equals NaN."""
    assert got.dtype == sent.dtype
    assert got.shape == sent.shape
    np.testing.assert_array_equal(got, sent)


@given(number_arrays(finite=False) | text_arrays(st.binary()), st.text())
def test_binary_request_round_trip(array: Array, name: str) -> None:
    """Any array survives the binary form, NaN and raw bytes included."""
    sent = InferRequest(id="7", inputs={name: array}, parameters={"timeout_ms": 2.5})
    length, parts = encode_request(sent)
    got = decode_request(body_of(parts), str(length))
    assert (got.id, got.parameters) == ("7", {"timeout_ms": 2.5})
    assert_same(got.inputs[name], array)


@given(number_arrays(finite=True) | text_arrays(st.text().map(str.encode)))
def test_json_request_round_trip(array: Array) -> None:
    """Any array of finite numbers or text survives the JSON form."""
    length, parts = encode_request(InferRequest(inputs={"x": array}), binary=False)
    assert length is None
    assert_same(decode_request(body_of(parts)).inputs["x"], array)


@given(number_arrays(finite=True), st.booleans())
def test_response_round_trip(array: Array, binary: bool) -> None:  # noqa: FBT001
    """A response comes back as sent, in the form that the request asked for, with the request's id."""
    request = InferRequest(id="9", inputs={}, outputs={"y": RequestedOutput(binary=binary)})
    response = InferResponse(model_name="m", model_version="1", outputs={"y": array})
    length, parts = encode_response(response, request)
    assert (length is not None) == binary
    got = decode_response(body_of(parts), length)
    assert (got.model_name, got.model_version, got.id) == ("m", "1", "9")
    assert_same(got.outputs["y"], array)


@given(st.binary(max_size=300), st.none() | st.integers(-1, 310) | st.text(max_size=5))
def test_garbage_is_refused_politely(body: bytes, length: int | str | None) -> None:
    """Whatever the bytes, the only error is InvalidInputError."""
    with pytest.raises(InvalidInputError):
        decode_request(body, length)


@given(st.integers(0, 400), st.integers(0, 255), number_arrays(finite=False) | text_arrays(st.binary(max_size=9)))
def test_damaged_body_is_refused_or_read(position: int, value: int, array: Array) -> None:
    """A body with one byte changed is read or refused with InvalidInputError, never anything else."""
    length, parts = encode_request(InferRequest(inputs={"x": array}))
    body = bytearray(body_of(parts))
    body[position % len(body)] = value
    try:
        decode_request(bytes(body), length)
    except InvalidInputError as error:
        assert str(error)  # noqa: PT017 - both ways are right


def test_nested_data() -> None:
    """JSON data may be nested like the shape."""
    request = decode_request(infer_json(datatype="INT8", shape=[2, 2], data=[[1, 2], [3, 4]]))
    np.testing.assert_array_equal(request.inputs["x"], np.array([[1, 2], [3, 4]], dtype=np.int8))


def test_nested_text() -> None:
    """Text may be nested too, and is UTF-8."""
    request = decode_request(infer_json(datatype="BYTES", shape=[2, 1], data=[["é"], ["[b"]]))
    assert request.inputs["x"].tolist() == [["é".encode()], [b"[b"]]


def test_binary_input_is_not_copied() -> None:
    """Binary data is read in place: the array is a view of the body."""
    length, parts = encode_request(InferRequest(inputs={"x": np.arange(1000, dtype=np.float64)}))
    body = body_of(parts)
    assert np.shares_memory(decode_request(body, length).inputs["x"], np.frombuffer(body, dtype=np.uint8))


def test_arrays_are_aligned() -> None:
    """An array that lies crooked in the body is copied to where engines can read it."""
    inputs: dict[str, Array] = {"a": np.zeros(3, dtype=np.uint8), "b": np.arange(4, dtype=np.float64)}
    length, parts = encode_request(InferRequest(inputs=inputs))
    got = decode_request(body_of(parts), length).inputs["b"]
    assert got.flags.aligned
    assert_same(got, inputs["b"])


def test_any_layout_can_be_sent() -> None:
    """Transposed, strided, big-endian and text arrays are sent as what they mean."""
    inputs: dict[str, Array] = {
        "transposed": np.arange(6, dtype=np.int32).reshape(2, 3).T,
        "strided": np.arange(10, dtype=np.int16)[::3],
        "big": np.arange(3, dtype=">f4"),
        "text": np.array([["ä", "b"]]),
        "scalar": np.array(3.5),
    }
    length, parts = encode_request(InferRequest(inputs=inputs))
    got = decode_request(body_of(parts), length).inputs
    for name in ("transposed", "strided", "big", "scalar"):
        np.testing.assert_array_equal(got[name], inputs[name])
    assert got["text"].tolist() == [["ä".encode(), b"b"]]


def test_unknown_fields_are_ignored() -> None:
    """Fields that the protocol does not know are no error."""
    body = b'{"new": [null], "inputs": [{"name": "x", "datatype": "BOOL", "shape": [1], "data": [true], "hint": {}}]}'
    assert decode_request(body).inputs["x"].tolist() == [True]


def test_outputs_asked_for() -> None:
    """An output without its own wish takes the request's; without outputs that holds for all of them."""
    request = decode_request(
        b'{"inputs": [], "parameters": {"binary_data_output": true},'
        b' "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": false}}]}'
    )
    assert request.outputs == {"a": RequestedOutput(binary=True), "b": RequestedOutput()}
    assert decode_request(b'{"inputs": [], "parameters": {"binary_data_output": true}}').wanted("any").binary
    assert not decode_request(b'{"inputs": []}').wanted("any").binary


def test_only_outputs_asked_for_are_sent() -> None:
    """Other outputs stay away, and one that does not exist is an error that lists those that do."""
    response = InferResponse(model_name="m", outputs={"a": np.zeros(1), "b": np.ones(1)})
    _, parts = encode_response(response, InferRequest(inputs={}, outputs={"b": RequestedOutput()}))
    assert list(decode_response(body_of(parts)).outputs) == ["b"]
    with pytest.raises(InvalidInputError, match=r"unknown output 'c'; the outputs are: a, b"):
        encode_response(response, InferRequest(inputs={}, outputs={"c": RequestedOutput()}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": None}, r"missing required field `name` - at `\$.inputs\[0\]`"),
        ({"datatype": None}, "missing required field `datatype`"),
        ({"shape": None}, "missing required field `shape`"),
        ({"data": None}, "input 'x' has none of data, the parameter"),
        ({"datatype": "float32"}, "input 'x' has the unknown datatype 'float32'; known: BOOL, UINT8"),
        ({"datatype": "BF16"}, "BF16 has no JSON form"),
        ({"shape": [-1]}, r"input 'x' has the shape \[-1\]; a length cannot be negative"),
        ({"shape": [1.5]}, r"Expected `int`, got `float` - at `\$.inputs\[0\].shape\[0\]`"),
        ({"shape": [2**20, 2**20]}, "at most 2147483647 elements"),
        ({"shape": [0, 2**62], "data": []}, "at most 2147483647 elements"),
        ({"shape": [1] * 40, "data": [1]}, "40 dimensions; at most 16"),
        ({"shape": [3]}, r"data of input 'x' has 2 elements; the shape \[3\] needs 3"),
        ({"shape": [2, 1], "data": [[1, 2]]}, r"data of input 'x' has the shape \[1, 2\], not \[2, 1\]"),
        ({"shape": [2, 2], "data": [[1, 2], [3]]}, "data of input 'x' is nested, but not like its shape"),
        ({"shape": [2, 2], "datatype": "BYTES", "data": [["a"], ["b", "c"]]}, "not"),
        ({"shape": [2], "data": [[1, 2]]}, "Expected `float`, got `array`"),
        ({"data": "ab"}, "Expected `array`, got `str`"),
        ({"data": [1, "2"]}, r"data of input 'x' \(FP32\): Expected `float`, got `str` - at `\$\[1\]`"),
        ({"data": [1, [None]]}, "Expected `float`"),
        ({"data": [1, 1e39]}, "a number that does not fit FP32"),
        ({"datatype": "FP16", "data": [1, 65536]}, "a number that does not fit FP16"),
        ({"datatype": "UINT8", "data": [1, 256]}, "a number that does not fit UINT8"),
        ({"datatype": "UINT64", "data": [1, -1]}, "a number that does not fit UINT64"),
        ({"datatype": "INT64", "data": [1, 2**63]}, "a number that does not fit INT64"),
        ({"datatype": "INT32", "data": [1, 1.5]}, "Expected `int`, got `float`"),
        ({"datatype": "INT32", "data": [1, float("nan")]}, "not JSON"),
        ({"datatype": "INT32", "data": [1, True]}, "Expected `int`, got `bool`"),
        ({"datatype": "BOOL", "data": [0, 1]}, "Expected `bool`, got `int`"),
        ({"datatype": "BYTES", "data": ["a", 1]}, "Expected `str`, got `int`"),
        ({"parameters": None, "data": [1, None]}, "Expected `float`, got `null`"),
        ({"parameters": {"shared_memory_region": "r"}}, "input 'x' in shared memory needs the parameters"),
        ({"parameters": {"binary_data_size": 8}}, "input 'x' has more than one of data"),
        (
            {"parameters": {"binary_data_size": 8}, "data": None},
            "announces 8 bytes of binary data, but only 0 are left",
        ),
        ({"parameters": {"binary_data_size": -8}, "data": None}, "binary_data_size of input 'x' is -8"),
        ({"parameters": {"binary_data_size": True}, "data": None}, "binary_data_size of input 'x' is True"),
        ({"parameters": {"nested": {}}}, r"got `object` - at `\$.inputs\[0\].parameters"),
    ],
)
def test_malformed_inputs(fields: dict[str, Any], message: str) -> None:
    """Each mistake in an input is refused with a message that names it."""
    with pytest.raises(InvalidInputError, match=message):
        decode_request(infer_json(**fields))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `inputs`"),
        (b'{"inputs": {}}', "Expected `array`, got `object`"),
        (b'{"inputs": null}', "Expected `array`, got `null`"),
        (b'{"inputs": [], "id": 3}', r"Expected `str`, got `int` - at `\$.id`"),
        (b'{"inputs": []} x', "not JSON"),
        (b'{"inputs": [], "id": "\xff"}', "not JSON"),
        (b'{"a":' + b"[" * 100_000, "nested too deep"),
        (b'{"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]}', "output 'y' is asked for twice"),
        (
            b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}',
            "parameter 'binary_data' of output 'y' is 1; it must be true or false",
        ),
        (
            b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"classification": -3}}]}',
            "parameter 'classification' of output 'y' is -3",
        ),
        (b'{"inputs": [], "parameters": {"binary_data_output": "yes"}}', "'binary_data_output' of the request"),
        (infer_json(data=[1, 2]).replace(b"]}]", b"]}, {}]"), r"missing required field `name` - at `\$.inputs\[1\]`"),
    ],
)
def test_malformed_bodies(body: bytes, message: str) -> None:
    """Each mistake in the rest of a body is refused with a message that names it."""
    with pytest.raises(InvalidInputError, match=message):
        decode_request(body)


def test_input_given_twice() -> None:
    """Two inputs of one name are refused."""
    tensor = '{"name": "x", "datatype": "INT8", "shape": [1], "data": [1]}'
    with pytest.raises(InvalidInputError, match="input 'x' is given twice"):
        decode_request(f'{{"inputs": [{tensor}, {tensor}]}}'.encode())


@pytest.mark.parametrize("length", ["0", "-1", "1e3", "abc", "", "9" * 5000, "99999", "²"])
def test_nonsense_header_length(length: str) -> None:
    """A header length that is no length within the body is refused."""
    with pytest.raises(InvalidInputError, match="Inference-Header-Content-Length is"):
        decode_request(infer_json(), length)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "message"),
    [
        ("FP32", [2], b"1234567", r"has 7 bytes of binary data; FP32 of the shape \[2\] needs 8"),
        ("BOOL", [2], b"\x00\x02", "a byte other than 0 and 1"),
        ("BYTES", [1], b"\x01\x00", "ends within the length of element 0"),
        ("BYTES", [1], b"\x09\x00\x00\x00abc", "ends within element 0: 9 bytes are announced, 3 are there"),
        ("BYTES", [2], b"\x01\x00\x00\x00a", "has 1 elements; its shape needs 2"),
        ("BYTES", [0], b"\x00\x00\x00\x00", "has 1 elements; its shape needs 0"),
    ],
)
def test_malformed_binary(datatype: str, shape: list[int], data: bytes, message: str) -> None:
    """Binary data that does not fill its shape exactly is refused."""
    head = infer_json(datatype=datatype, shape=shape, data=None, parameters={"binary_data_size": len(data)})
    with pytest.raises(InvalidInputError, match=message):
        decode_request(head + data, len(head))


def test_surplus_binary() -> None:
    """Bytes that belong to no input are refused."""
    head = infer_json()
    with pytest.raises(InvalidInputError, match="3 bytes follow the binary data of the last input"):
        decode_request(head + b"abc", len(head))


def test_long_names_are_not_echoed() -> None:
    """A message stays short whatever the client sent."""
    with pytest.raises(InvalidInputError) as caught:
        decode_request(infer_json(name="n" * 10_000, datatype="d" * 10_000))
    assert len(str(caught.value)) < 300


def test_values_without_json_form() -> None:
    """NaN and raw bytes cannot be answered in JSON; the client is told to ask for binary."""
    for array in (np.array([np.nan]), np.array([b"\xff"], dtype=object)):
        response = InferResponse(model_name="m", outputs={"y": array})
        with pytest.raises(InvalidInputError, match=r"output 'y' holds .*; ask for it in binary form"):
            encode_response(response, InferRequest(inputs={}))


def test_arrays_that_cannot_be_sent() -> None:
    """Complex numbers and arbitrary objects are refused before they are sent."""
    for array in (np.zeros(1, dtype=complex), np.array([3, None], dtype=object)):
        with pytest.raises(InvalidInputError, match=r"to send|cannot be sent"):
            encode_request(InferRequest(inputs={"x": array}))


def test_bad_response_is_the_servers_fault() -> None:
    """A client that cannot read the answer does not blame the request."""
    with pytest.raises(HeterosisError, match="the server's answer does not follow") as caught:
        decode_response(b'{"outputs": 3}')
    assert not isinstance(caught.value, InvalidInputError)


def test_errors() -> None:
    """Errors travel as {"error": message}; anything else is quoted."""
    assert encode_error('no "x"') == b'{"error":"no \\"x\\""}'
    assert decode_error(encode_error("no")) == "no"
    assert decode_error(b"<html>502</html>") == "<html>502</html>"
    assert decode_error(b"") == "no message"


def test_metadata() -> None:
    """Metadata speaks in the protocol's data types."""
    spec = TensorSpec(name="image", dtype="bytes", shape=(1,))
    model = ModelMetadata(name="ocr", platform="heterosis", inputs=(TensorMetadata.of(spec),), outputs=())
    assert msgspec.json.decode(msgspec.json.encode(model)) == {
        "name": "ocr",
        "versions": [],
        "platform": "heterosis",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}],
        "outputs": [],
    }
