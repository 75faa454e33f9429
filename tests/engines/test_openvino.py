"""Only of OpenVINO."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from heterosis.engines import ENGINES
from heterosis.engines.openvino import PRECISION_INFO
from heterosis.terms.errors import EngineError

openvino = pytest.importorskip("openvino")


def batch() -> dict[str, np.ndarray]:
    """Make inputs for the small model."""
    draw = np.random.default_rng(3)
    return {
        "image": draw.normal(0, 1, (2, 3, 20, 20)).astype(np.float32),
        "bias": draw.normal(0, 1, (2, 5)).astype(np.float32),
    }


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, onnx_model: Path) -> None:
    """Without OpenVINO the error says what to install."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"pip install heterosis\[openvino\]"):
        ENGINES["openvino"].load(onnx_model, threads=1)


def test_float32_is_computed_in_float32(onnx_model: Path) -> None:
    """On hardware with bfloat16 too, answers agree with ONNX Runtime's to float32's precision."""
    expected = ENGINES["onnxruntime"].load(onnx_model, threads=1).run(batch())["scores"]
    got = ENGINES["openvino"].load(onnx_model, threads=1).run(batch())["scores"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_names_are_the_models_own(tmp_path: Path) -> None:
    """Folding may leave an input several names, of which OpenVINO tells the first of the alphabet."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["a_cast"], to=TensorProto.FLOAT),
            helper.make_node("Relu", ["a_cast"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    openvino.save_model(openvino.convert_model(tmp_path / "model.onnx"), tmp_path / "model.xml")
    session = ENGINES["openvino"].load(tmp_path / "model.xml", threads=1)
    assert [spec.name for spec in (*session.inputs, *session.outputs)] == ["x", "y"]


def test_a_model_may_ask_for_bfloat16(tmp_path: Path, onnx_model: Path) -> None:
    """An IR file says in its runtime information that it is to be computed in bfloat16, and is where that exists."""
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bfloat16")
    model = openvino.convert_model(onnx_model)
    model.set_rt_info("bf16", PRECISION_INFO)
    openvino.save_model(model, tmp_path / "bf16.xml", compress_to_fp16=False)
    expected = ENGINES["openvino"].load(onnx_model, threads=1).run(batch())["scores"]
    got = ENGINES["openvino"].load(tmp_path / "bf16.xml", threads=1).run(batch())["scores"]
    difference = np.abs(got - expected).max()
    assert 1e-5 < difference < 0.1


def test_errors_leave_out_openvinos_source_lines(tmp_path: Path) -> None:
    """The message keeps what happened, not where in OpenVINO's source."""
    path = tmp_path / "model.xml"
    path.write_text("<net")
    with pytest.raises(EngineError, match="openvino cannot load") as error:
        ENGINES["openvino"].load(path, threads=1)
    assert "Exception from" not in str(error.value)
