"""The outermost layer of messages: fields taken out and put in, and bytes that are no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.protocol.grpc.frames import put_in, take_out, wrapped
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import ModelInferRequest, ModelStreamInferResponse
from heterosis.terms.errors import InvalidInputError


@given(st.lists(st.binary(max_size=300)), st.text(max_size=200))
def test_what_is_taken_out_is_what_was_put_in(values: list[bytes], name: str) -> None:
    """The rest is the message without it; together they are what protobuf itself writes."""
    message = ModelInferRequest(model_name=name, raw_input_contents=values)
    message.inputs.add(name=name, shape=[1, -1]).parameters["d"].double_param = 0.5
    rest, found = take_out(message.SerializeToString(), 7)
    assert [bytes(value) for value in found] == values
    joined = ModelInferRequest.FromString(b"".join([rest, *put_in(7, values)]))
    assert joined == message


@given(st.binary(max_size=100))
def test_bytes_that_are_no_message_are_refused(noise: bytes) -> None:
    """Or they happen to be one, and then nothing of them is lost."""
    try:
        rest, found = take_out(noise, 7)
    except InvalidInputError:
        return
    assert len(rest) + sum(len(value) for value in found) <= len(noise)


def test_a_message_can_be_wrapped_in_parts() -> None:
    """As a field of another one."""
    parts = wrapped(2, [b"\x0a\x01", b"m"])
    assert ModelStreamInferResponse.FromString(b"".join(parts)).infer_response.model_name == "m"


@pytest.mark.parametrize("cut", [b"\x3a\x05abc", b"\x3a", b"\x08", b"\x80" * 11, b"\x0b"])
def test_truncated_messages_are_refused(cut: bytes) -> None:
    """Within a field, a length, a number; and a wire type that nobody uses."""
    with pytest.raises(InvalidInputError):
        take_out(cut, 7)


def test_a_message_of_countless_fields_is_refused() -> None:
    """Before it has been gone through."""
    with pytest.raises(InvalidInputError, match="more than 65536 fields"):
        take_out(b"\x08\x01" * 100_000, 7)
