"""Only of LiteRT."""

import sys
from pathlib import Path

import numpy as np
import pytest

from heterosis.engines import ENGINES
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError
from tests.tflite_models import TfliteModel


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without LiteRT the error says what to install."""
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    (tmp_path / "model.tflite").touch()
    with pytest.raises(EngineError, match=r"pip install heterosis\[litert\]"):
        ENGINES["litert"].load(tmp_path / "model.tflite", threads=1)


def test_integers_with_a_scale_are_numbers_outside(tmp_path: Path) -> None:
    """A model that takes and gives 8-bit integers is fed and read in float32, rounded and clipped as they are."""
    model = TfliteModel()
    model.tensor("x", (DYNAMIC, 2), "int8", scale=0.5, zero_point=10)
    model.tensor("y", (DYNAMIC, 1, 2), "int8", scale=0.5, zero_point=10)
    model.constant("shape", np.array([-1, 1, 2], np.int32))
    model.operator("Reshape", ["x", "shape"], "y")
    path = model.write(tmp_path / "model.tflite", {"numbers": "x"}, {"same": "y"})
    session = ENGINES["litert"].load(path, threads=1)
    assert session.inputs == (TensorSpec(name="numbers", dtype="float32", shape=(DYNAMIC, 2)),)
    assert session.outputs == (TensorSpec(name="same", dtype="float32", shape=(DYNAMIC, 1, 2)),)
    given = np.array([[1.0, -1.2], [1000.0, -1000.0]], np.float32)
    expected = [[[1.0, -1.0]], [[58.5, -69.0]]]
    np.testing.assert_allclose(session.run({"numbers": given})["same"], expected)


def test_names_are_the_signatures(tmp_path: Path) -> None:
    """Not those of the tensors, which converters make up."""
    model = TfliteModel()
    model.tensor("serving_default_x:0", (1, 2))
    model.tensor("StatefulPartitionedCall:0", (1, 2))
    model.operator("Add", ["serving_default_x:0", "serving_default_x:0"], "StatefulPartitionedCall:0")
    path = model.write(tmp_path / "m.tflite", {"x": "serving_default_x:0"}, {"twice": "StatefulPartitionedCall:0"})
    session = ENGINES["litert"].load(path, threads=1)
    np.testing.assert_allclose(session.run({"x": np.ones((1, 2), np.float32)})["twice"], [[2, 2]])
