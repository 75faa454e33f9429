"""Plain model files as pipelines: what they take is read from the file, and calls are joined where that is sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heterosis.pipeline import load_pipeline
from heterosis.pipeline.model import ModelPipeline, ModelStage, fitting_length, open_session
from heterosis.pipeline.probing import Question, probe
from heterosis.pipeline.tensors import TensorRunner
from heterosis.terms.errors import EngineError, InvalidInputError, StageError
from heterosis.testing.onnx_models import write_model, write_simple, write_simple_string

Array = np.ndarray[Any, Any]


def rows(*values: int) -> Array:
    """A row of 16 of each value."""
    return np.array([[value] * 16 for value in values], np.int32)


def runner_of(path: Path) -> TensorRunner:
    """Open a model."""
    return TensorRunner(ModelStage(path), path.stem, open_session(path, 1))


async def test_a_model_file_is_a_pipeline_with_its_own_inputs_and_outputs(tmp_path: Path) -> None:
    """Several of each, with names, data types and shapes of the file; it runs on its own samples."""
    pipeline = load_pipeline(write_simple(tmp_path / "sums.onnx"))
    assert pipeline.name == "sums"
    edges = (*pipeline.signature.inputs, *pipeline.signature.outputs)
    assert [(each.spec.name, each.spec.dtype, each.spec.shape) for each in edges] == [
        (name, "int32", (-1, 16)) for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")
    ]
    for sample in pipeline.load_samples():
        encoded = pipeline.signature.encode(await pipeline(**sample.inputs))
        assert np.array_equal(encoded["OUTPUT1"], sample.inputs["INPUT0"] - sample.inputs["INPUT1"])


async def test_text_is_bytes_for_clients_and_must_be_utf8(tmp_path: Path) -> None:
    """What is no text is the client's fault, found before it reaches the model."""
    pipeline = load_pipeline(write_simple_string(tmp_path / "text.onnx"))
    given = np.array([[b"7"] * 16], object)
    values = pipeline.signature.decode({"INPUT0": given, "INPUT1": given})
    encoded = pipeline.signature.encode(await pipeline(**values))
    assert encoded["OUTPUT0"].tolist() == [[b"14"] * 16]
    with pytest.raises(InvalidInputError, match="input 'INPUT1' is not UTF-8 text"):
        pipeline.signature.decode({"INPUT0": given, "INPUT1": np.array([[b"\xff"] * 16], object)})


def test_a_request_has_as_many_items_as_rows_and_they_may_run_apart(tmp_path: Path) -> None:
    """Where rows are items; that is found out where it is not given."""
    path = write_simple(tmp_path / "sums.onnx")
    values = {"INPUT0": rows(1, 2, 3), "INPUT1": rows(1, 2, 3)}
    for pipeline in (ModelPipeline(path, "sums"), ModelPipeline(path, "sums", batched=True)):
        assert (pipeline.size(values), pipeline.divisible(values)) == (3, True)
        assert not pipeline.divisible({**values, "INPUT1": rows(1)})  # whose rows they are, only the model knows
    pipeline = ModelPipeline(path, "sums", batched=False)
    assert (pipeline.size(values), pipeline.divisible(values)) == (1, False)


def test_calls_are_joined_and_each_gets_its_own_rows(tmp_path: Path) -> None:
    """The first batch is run both ways; from then on it is one run."""
    runner = runner_of(write_simple(tmp_path / "sums.onnx"))
    calls = [({"INPUT0": rows(*values), "INPUT1": rows(*values)},) for values in ((1, 2), (3,), (4, 5, 6))]
    for _ in range(2):
        results = runner.run(calls)
        assert [result["OUTPUT0"][:, 0].tolist() for result in results] == [[2, 4], [6], [8, 10, 12]]
    assert runner.joins is True


def test_calls_are_not_joined_where_rows_depend_on_each_other(tmp_path: Path) -> None:
    """A first axis of any length may be one of steps: what is joined would get into each other's way."""
    path = write_model(
        tmp_path / "steps.onnx",
        [
            ("Cast:FLOAT", ("x",), ("real",)),
            ("Cast:INT32", ("first",), ("axis",)),
            ("CumSum", ("real", "axis"), ("y",)),
        ],
        [("x", "INT32", ("steps", 2)), ("first", "INT64", ())],
        [("y", "FLOAT", ("steps", 2))],
    )
    runner = runner_of(path)
    assert runner.joins is False  # an input without that axis
    fixed = write_model(
        tmp_path / "sums.onnx",
        [("ReduceSum", ("x",), ("total",)), ("Add", ("x", "total"), ("y",))],
        [("x", "FLOAT", ("steps", 2))],
        [("y", "FLOAT", ("steps", 2))],
    )
    runner = runner_of(fixed)
    calls = [({"x": np.full((1, 2), value, np.float32)},) for value in (1, 2)]
    for _ in range(2):
        assert [result["y"].tolist() for result in runner.run(calls)] == [[[3.0, 3.0]], [[6.0, 6.0]]]
    assert runner.joins is False
    pipeline = ModelPipeline(fixed, "sums")
    assert (pipeline.size(calls[0][0]), pipeline.divisible({"x": np.zeros((4, 2), np.float32)})) == (1, False)


def test_a_call_that_fails_harms_none_that_it_was_joined_with(tmp_path: Path) -> None:
    """Its own result is the error; the others are as if it were not there."""
    runner = runner_of(write_simple_string(tmp_path / "text.onnx"))

    def call(text: str) -> tuple[dict[str, Array]]:
        return ({name: np.array([[text] * 16], object) for name in ("INPUT0", "INPUT1")},)

    runner.run([call("1"), call("2")])
    assert runner.joins is True
    first, bad, last = runner.run([call("1"), call("one"), call("3")])
    assert isinstance(bad, StageError)
    assert (first["OUTPUT0"][0, 0], last["OUTPUT0"][0, 0]) == ("2", "6")


def test_lengths_that_are_open_are_found_by_trying(tmp_path: Path) -> None:
    """A model that wants two tensors of 16 columns in all does not run with the first that is tried."""
    path = write_model(
        tmp_path / "matching.onnx",
        [("MatMul", ("x", "w"), ("y",))],
        [("x", "FLOAT", ("rows", "length")), ("w", "FLOAT", (16, 2))],
        [("y", "FLOAT", ("rows", 2))],
    )
    assert fitting_length(open_session(path, 1)) == 16


def test_a_short_look_tells_times_batches_and_shapes(tmp_path: Path) -> None:
    """Every batch size was run, and larger ones only where they are worth it."""
    path = write_simple_string(tmp_path / "text.onnx")
    found = probe(Question(path=str(path), cores=2, most_ms=200.0, answers=-1))
    assert [spec.name for spec in (*found.inputs, *found.outputs)] == ["INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1"]
    assert found.batched
    assert found.points[0].batch == 1
    assert all(point.latency.p50_ms > 0 for point in found.points)


def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    """With the engine's own reason."""
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(EngineError, match=r"cannot load .*bad.onnx"):
        probe(Question(path=str(tmp_path / "bad.onnx"), cores=1, most_ms=1.0, answers=-1))
