"""What a request to load may ask for."""

from typing import Any

import pytest

from heterosis.serving.protocol.repository import max_batch_of
from heterosis.terms.errors import InvalidInputError


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({}, None),
        ({"config": "{}"}, None),
        ({"config": '{"max_batch_size": 16}'}, 16),
        ({"config": '{"max_batch_size": "16", "name": "m"}'}, 16),
    ],
)
def test_the_largest_batch_is_read(parameters: dict[str, Any], wanted: int | None) -> None:
    """As a number, or as protobuf's JSON has numbers."""
    assert max_batch_of("m", parameters) == wanted


@pytest.mark.parametrize(
    "parameters",
    [
        {"config": '"parameters": {"config": {{"max_batch_size": "16"}}}'},
        {"config": "[]"},
        {"config": 3},
        {"config": '{"max_batch_size": -1}'},
        {"config": '{"max_batch_size": "many"}'},
        {"config": '{"max_batch_size": null}'},
        {"config": "{}", "file:1/model.onnx": "AAAA"},
    ],
)
def test_what_cannot_be_read_is_refused(parameters: dict[str, Any]) -> None:
    """The message says which model was not loaded."""
    with pytest.raises(InvalidInputError, match="failed to load 'm'"):
        max_batch_of("m", parameters)
