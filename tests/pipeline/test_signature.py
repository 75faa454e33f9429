"""What clients send and get: annotations become tensors, tensors become values, nonsense is refused by name."""

import io
from typing import Annotated, Any, NamedTuple, TypedDict

import numpy as np
import pytest

import heterosis as hs
from heterosis.pipeline.signature import Signature
from heterosis.terms.errors import InvalidInputError, UsageError

Array = np.ndarray[Any, Any]


class Echo:
    """Returns what it gets."""

    def run(self, value: object) -> object:
        """Return it."""
        return value


echo = hs.stage(Echo)


async def typed(  # noqa: PLR0913, PLR0917 - one of each kind
    image: hs.Image,
    text: str,
    number: int,
    weight: float,
    flag: bool,  # noqa: FBT001
    words: list[str],
    raw: bytes,
    matrix: Annotated[Array, hs.Tensor("float32", -1, 2)],
) -> list[float]:
    """Take one of everything."""
    raise NotImplementedError


async def bare(values: Array) -> dict[str, Array]:
    """Take an array of whatever kind the samples are."""
    raise NotImplementedError


async def unclear(value: object) -> None:
    """Take who knows what."""
    raise NotImplementedError


def strings(*values: bytes) -> Array:
    """Make a tensor of bytes."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_annotations_become_tensors() -> None:
    """Names, data types and shapes are those of the protocol."""
    signature = Signature.of(typed, [])
    assert [(edge.spec.name, edge.spec.dtype, edge.spec.shape) for edge in signature.inputs] == [
        ("image", "bytes", (1,)),
        ("text", "bytes", (1,)),
        ("number", "int64", (1,)),
        ("weight", "float64", (1,)),
        ("flag", "bool", (1,)),
        ("words", "bytes", (-1,)),
        ("raw", "bytes", (1,)),
        ("matrix", "float32", (-1, 2)),
    ]
    (output,) = signature.outputs
    assert (output.spec.name, output.spec.dtype, output.spec.shape) == ("output", "float64", (-1,))


def test_values_survive_the_way_to_tensors_and_back() -> None:
    """Encoding a value and decoding the tensor gives the value."""
    signature = Signature.of(typed, [])
    values: dict[str, Any] = {
        "image": np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8),
        "text": "grüß", "number": -3, "weight": 0.5, "flag": True, "words": ["a", ""], "raw": b"\xff\x00",
        "matrix": np.ones((3, 2), np.float32),
    }  # fmt: skip
    decoded = signature.decode({edge.spec.name: edge.encode(values[edge.spec.name]) for edge in signature.inputs})
    for name in ("image", "matrix"):
        np.testing.assert_array_equal(decoded.pop(name), values.pop(name))
    assert decoded == values


def test_a_bare_array_takes_its_type_from_the_samples() -> None:
    """Axes that differ between samples may have any length; others are fixed."""
    signature = Signature.of(bare, [{"values": np.zeros((2, 3), np.int16)}, {"values": np.zeros((4, 3), np.int16)}])
    (edge,) = signature.inputs
    assert (edge.spec.dtype, edge.spec.shape) == ("int16", (-1, 3))


def test_an_annotation_that_says_nothing_is_refused() -> None:
    """The message says what could stand there."""
    with pytest.raises(UsageError, match=r"annotate it as heterosis\.Image"):
        Signature.of(unclear, [])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "missing input 'values'"),
        ({"values": np.zeros((2, 3), np.int16), "other": np.zeros(1)}, "unknown input 'other'"),
        ({"values": np.zeros((2, 3), np.int32)}, "input 'values' has data type int32; it takes int16"),
        ({"values": np.zeros((2, 4), np.int16)}, r"input 'values' has shape \[2, 4\]; it takes \[2, 3\]"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tensors: dict[str, Array], message: str) -> None:
    """Missing, unknown, mistyped and misshapen inputs are told apart."""
    signature = Signature.of(bare, [{"values": np.zeros((2, 3), np.int16)}])
    with pytest.raises(InvalidInputError, match=message):
        signature.decode(tensors)


def test_an_image_is_decoded_at_the_door() -> None:
    """PNG and JPEG bytes and raw pixels are taken; anything else is named as the field's fault."""
    from PIL import Image

    edge = Signature.of(typed, []).inputs[0]
    pixels = np.full((4, 6, 3), 200, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    assert edge.decode(strings(file.getvalue())).shape == (4, 6, 3)
    np.testing.assert_array_equal(edge.decode(pixels), pixels)
    for bad in (strings(b"not an image"), strings(file.getvalue()[:100]), strings(b"")):
        with pytest.raises(InvalidInputError, match="input 'image' cannot be decoded as an image"):
            edge.decode(bad)
    with pytest.raises(InvalidInputError, match=r"a raw image has the shape \[height, width, 3\]"):
        edge.decode(np.zeros((4, 6), np.uint8))


def test_a_value_that_does_not_fit_its_annotation_is_not_made_to() -> None:
    """A number where text was promised is an error, not a string of zero bytes."""
    words = Signature.of(typed, []).inputs[5]
    with pytest.raises(TypeError, match="not a int"):
        words.encode([5])


def test_any_other_result_becomes_json() -> None:
    """Arrays inside become lists."""
    signature = Signature.of(bare, [{"values": np.zeros(1)}])
    assert signature.encode({"a": np.arange(3), "b": None})["output"][0] == b'{"a":[0,1,2],"b":null}'


class Found(NamedTuple):
    """What a function returns that finds something."""

    label: str
    boxes: Annotated[Array, hs.Tensor("float32", -1, 4)]


class Counts(TypedDict):
    """What a function returns that counts."""

    total: int
    by_name: dict[str, int]


async def finds(text: str) -> Found:
    """Return several things."""
    raise NotImplementedError


async def counts(text: str) -> Counts:
    """Return several things, in another form."""
    raise NotImplementedError


def test_a_result_of_several_fields_has_an_output_for_each() -> None:
    """A NamedTuple's fields, or a TypedDict's, are outputs by their names; clients get the values back."""
    found = Signature.of(finds, [])
    assert [(each.spec.name, each.spec.dtype, each.spec.shape) for each in found.outputs] == [
        ("label", "bytes", (1,)),
        ("boxes", "float32", (-1, 4)),
    ]
    encoded = found.encode(Found("cat", np.ones((2, 4), np.float32)))
    decoded = found.decode_result(encoded)
    assert decoded["label"] == "cat"
    assert decoded["boxes"].shape == (2, 4)
    counted = Signature.of(counts, [])
    result = {"total": 3, "by_name": {"cat": 3}}
    assert counted.decode_result(counted.encode(result)) == result
    with pytest.raises(ValueError, match=r"it has the fields \['total'\], not \['by_name', 'total'\]"):
        counted.encode({"total": 3})
    with pytest.raises(InvalidInputError, match="missing output 'by_name'"):
        counted.decode_result({"total": np.array([3])})
