"""Text recognition: what goes into the model and what its output says."""

import numpy as np
import pytest
import text_recognition
from hypothesis import given
from hypothesis import strategies as st

import heterosis as hs

LETTERS = ["", "a", "b", "c", " "]


def columns(classes: list[int]) -> np.ndarray:
    """An output whose likeliest classes are these, by an unlike margin in each column."""
    output = np.full((len(classes), len(LETTERS)), 0.1, np.float32)
    output[np.arange(len(classes)), classes] = np.linspace(0.2, 0.9, len(classes))
    return output


@pytest.mark.parametrize(
    ("classes", "text"),
    [([1, 1, 0, 1, 2, 2, 2], "aab"), ([0, 0, 0], ""), ([3], "c"), ([0, 1, 4, 4, 2, 0], "a b"), ([1, 2, 1], "aba")],
)
def test_repeats_collapse_and_blanks_fall_away(classes: list[int], text: str) -> None:
    """Repeats are one character unless a blank stands between them."""
    assert text_recognition.decode(columns(classes), LETTERS) == text


@given(
    st.text(alphabet="abc ", max_size=12).flatmap(
        lambda text: st.tuples(
            st.just(text), st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=13, max_size=13)
        )
    )
)
def test_any_stretching_is_read_back(case: tuple[str, list[tuple[int, int]]]) -> None:
    """However long each character and each blank between them lasts, the text comes back."""
    text, lengths = case
    classes = [0]
    for letter, (lasting, pause) in zip(text, lengths, strict=False):
        classes += [LETTERS.index(letter)] * lasting + [0] * pause
    assert text_recognition.decode(columns(classes), LETTERS) == text


@pytest.mark.parametrize(
    ("width", "padded"), [(1, 160), (100, 160), (161, 320), (640, 640), (1000, 1280), (5000, 1280)]
)
def test_lines_are_padded_to_few_widths(width: int, padded: int) -> None:
    """A line keeps its proportions, is padded with grey, and is squeezed only beyond the largest width."""
    line = np.full((96, 2 * width, 3), (255, 0, 0), np.uint8)
    made = text_recognition.prepare(line)
    assert made.shape == (3, 48, padded)
    assert made.dtype == np.float32
    written = min(width, padded)
    np.testing.assert_array_equal(made[:, 0, written - 1], [-1, -1, 1])  # red is the last channel, BGR
    assert not made[:, :, written:].any()


@pytest.mark.parametrize("model", ["small", "tiny"])
def test_each_model_has_its_own_alphabet(ocr: hs.Pipeline, model: str) -> None:
    """There is a character for every class of the model's output."""
    onnx = pytest.importorskip("onnx")
    stage = next(stage for stage in ocr.stages if stage.name == "recognise")
    graph = onnx.load(stage.artifact(model), load_external_data=False).graph
    characters = text_recognition.alphabet(model)
    assert len(characters) == graph.output[0].type.tensor_type.shape.dim[2].dim_value
    assert characters[0] == ""
    assert set("aZ09.,:-+/ €" if model == "small" else "aZ09.,:-+/ ") <= set(characters)
