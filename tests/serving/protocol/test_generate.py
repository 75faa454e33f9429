"""The generate extension: fields as tensors, and tensors as fields."""

from typing import Any

import numpy as np
import pytest

from heterosis.serving.protocol import InferResponse
from heterosis.serving.protocol.generate import fields_of, request_of
from heterosis.terms import TensorSpec
from heterosis.terms.errors import InvalidInputError

SPECS = (
    TensorSpec(name="rows", dtype="float32", shape=(-1, 2)),
    TensorSpec(name="text", dtype="bytes", shape=(1,)),
)


@pytest.mark.parametrize(
    ("given", "shape"), [([[1, 2], [3, 4]], (2, 2)), ([1, 2], (1, 2)), (5, (1, 1)), ([], (1, 0)), ([[]], (1, 0))]
)
def test_lists_and_numbers_become_tensors(given: Any, shape: tuple[int, ...]) -> None:
    """Of the rank that the input has."""
    array = request_of({"rows": given}, SPECS).inputs["rows"]
    assert (array.dtype, array.shape) == (np.float32, shape)
    assert array.ravel().tolist() == np.array(given).ravel().tolist()


def test_text_id_and_parameters_are_taken() -> None:
    """As they are."""
    asked = request_of({"text": "zürich", "id": "7", "parameters": {"timeout": 5}}, SPECS)
    assert (asked.inputs["text"].tolist(), asked.id, asked.parameters) == (["zürich".encode()], "7", {"timeout": 5})


@pytest.mark.parametrize(
    "fields",
    [
        {"column": 1},
        {"rows": "a"},
        {"rows": [[1, 2], [3]]},
        {"rows": None},
        {"rows": {"a": 1}},
        {"text": 3},
        {"id": 3},
        {"parameters": {"nested": []}},
        {"parameters": 3},
    ],
)
def test_other_fields_are_refused(fields: dict[str, Any]) -> None:
    """Unknown names, other types, ragged lists."""
    with pytest.raises(InvalidInputError):
        request_of(fields, SPECS)


def test_outputs_become_fields() -> None:
    """One element as such, more as a list."""
    import msgspec

    response = InferResponse(
        model_name="m",
        model_version="1",
        id="7",
        outputs={
            "one": np.array([0.5], np.float32),
            "more": np.array([[1, 2]]),
            "text": np.array([b"a"], dtype=object),
        },
    )
    assert msgspec.json.decode(msgspec.json.encode(fields_of(response))) == {
        "model_name": "m",
        "model_version": "1",
        "id": "7",
        "one": 0.5,
        "more": [1, 2],
        "text": "a",
    }
