"""The runner: hooks around an engine, batches of unlike items, errors of single calls."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import heterosis as hs
from heterosis.pipeline import StageRunner
from heterosis.terms import TensorSpec
from heterosis.terms.errors import StageError, UsageError

Array = np.ndarray[Any, Any]


class Plus:
    """A session that adds one, and notes the shapes that it ran."""

    def __init__(self, batch: int = -1) -> None:
        """Take batches of any size, or of a fixed one."""
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec(name="x", dtype="float32", shape=(batch, -1)),)
        self.outputs: tuple[TensorSpec, ...] = (TensorSpec(name="y", dtype="float32", shape=(batch, -1)),)
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Add one to the input."""
        self.shapes.append(inputs["x"].shape)
        return {"y": inputs["x"] + 1}

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Shift:
    """A stage with a model: arrays in, lists out; refuses empty ones."""

    models = {"only": "nowhere.onnx"}  # noqa: RUF012

    def before(self, values: list[float]) -> Array:
        """Make an array."""
        if not values:
            raise ValueError("no values")
        return np.array(values, np.float32)

    def after(self, output: Array, values: list[float]) -> list[float]:
        """Make a list, as long as what came in."""
        return [float(value) for value in output[: len(values)]]


class Padded(Shift):
    """The same, with items of unlike length padded into one batch."""

    def collate(self, items: list[dict[str, Array]]) -> dict[str, Array]:
        """Pad to the longest."""
        longest = max(len(item["x"]) for item in items)
        return {"x": np.stack([np.pad(item["x"], (0, longest - len(item["x"]))) for item in items])}


def test_items_of_unlike_shape_run_in_batches_of_their_own() -> None:
    """Equal shapes are stacked, others apart; results keep the order of the calls."""
    session = Plus()
    results = StageRunner(hs.stage(Shift), "only", session).run([([1.0],), ([1.0, 2.0],), ([3.0],)])
    assert results == [[2.0], [2.0, 3.0], [4.0]]
    assert sorted(session.shapes) == [(1, 2), (2, 1)]


def test_collate_makes_one_batch_of_all() -> None:
    """A stage that knows how to pad gets one run of the engine."""
    session = Plus()
    results = StageRunner(hs.stage(Padded), "only", session).run([([1.0],), ([1.0, 2.0],)])
    assert results == [[2.0], [2.0, 3.0]]
    assert session.shapes == [(2, 2)]


def test_a_model_of_fixed_batch_one_runs_item_by_item() -> None:
    """No batch is formed where the model cannot take one."""
    session = Plus(batch=1)
    assert StageRunner(hs.stage(Shift), "only", session).run([([1.0],), ([2.0],)]) == [[2.0], [3.0]]
    assert session.shapes == [(1, 1), (1, 1)]


def test_one_bad_call_harms_no_other_of_its_batch() -> None:
    """The call that raised stands as an error in the results, the rest is served."""
    first, bad, last = StageRunner(hs.stage(Shift), "only", Plus()).run([([1.0],), ([],), ([2.0],)])
    assert (first, last) == ([2.0], [3.0])
    assert isinstance(bad, StageError)
    assert "stage 'shift' failed: ValueError: no values" in str(bad)


def test_a_stage_class_is_checked_when_it_is_made_a_stage() -> None:
    """A missing hook is found before anything runs."""

    class Half:
        models = {"only": "nowhere.onnx"}  # noqa: RUF012

    class Nothing:
        pass

    with pytest.raises(UsageError, match="stage 'half': a stage with models needs the method before"):
        hs.stage(Half)
    with pytest.raises(UsageError, match="stage 'nothing': a stage without models needs the method run"):
        hs.stage(Nothing)


def test_a_model_that_is_not_there_is_named() -> None:
    """The message tells a missing file from a package that is not installed."""
    with pytest.raises(UsageError, match=r"model 'only': no file .*nowhere\.onnx"):
        hs.stage(Shift).artifact("only")

    class Elsewhere(Shift):
        models = {"only": "no_such_package_at_all:model.onnx"}  # noqa: RUF012

    with pytest.raises(UsageError, match="package 'no_such_package_at_all', which is not installed"):
        hs.stage(Elsewhere).artifact("only")
