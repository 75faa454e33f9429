"""Only of ONNX Runtime."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from heterosis.engines import ENGINES
from heterosis.engines.onnxruntime import PROVIDERS, present
from heterosis.terms import TensorSpec
from heterosis.terms.errors import EngineError


def save(folder: Path, graph: onnx.GraphProto) -> Path:
    """Write a model of one graph."""
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def test_importing_the_engines_loads_no_library() -> None:
    """The command line starts without waiting for inference libraries."""
    code = (
        "import sys, heterosis.engines; "
        "libraries = {'onnx', 'onnxruntime', 'openvino', 'ai_edge_litert'}; "
        "sys.exit(any(name.partition('.')[0] in libraries for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch, onnx_model: Path) -> None:
    """Without ONNX Runtime the error says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match="pip install heterosis"):
        ENGINES["onnxruntime"].load(onnx_model, threads=1)


@pytest.mark.parametrize("engine", [name for name in PROVIDERS if not present(name)])
def test_a_missing_provider_names_the_package(engine: str, onnx_model: Path) -> None:
    """The error says which build of ONNX Runtime has it."""
    with pytest.raises(EngineError, match=f"which {engine} needs; install .*onnxruntime"):
        ENGINES[engine].load(onnx_model, threads=1)


def test_a_provider_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch, onnx_model: Path) -> None:
    """ONNX Runtime would run on the CPU, quietly; then the variant would not be what it is called."""
    asked: list[tuple[str, dict[str, str]]] = []
    start = onnxruntime.InferenceSession

    def session(path: str, options: object, providers: list[tuple[str, dict[str, str]]]) -> object:
        asked.extend(providers)
        return start(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    with pytest.raises(EngineError, match="OpenVINOExecutionProvider did not start on this machine"):
        ENGINES["onnxruntime-openvino"].load(onnx_model, threads=3)
    name, options = asked[0]
    assert name == "OpenVINOExecutionProvider"
    assert '"INFERENCE_NUM_THREADS": 3' in options["load_config"]


@pytest.mark.parametrize("element", [TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.BOOL])
def test_data_types_have_numpys_names(tmp_path: Path, element: int) -> None:
    """Every numeric type passes through under the name that numpy gives it."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    path = save(
        tmp_path,
        helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", element, [2, 3])],
            [helper.make_tensor_value_info("y", element, [2, 3])],
        ),
    )
    session = ENGINES["onnxruntime"].load(path, threads=1)
    assert session.inputs == (TensorSpec(name="x", dtype=dtype.name, shape=(2, 3)),)
    given = np.ones((2, 3), dtype)
    np.testing.assert_array_equal(session.run({"x": given})["y"], given)


def test_strings_run(tmp_path: Path) -> None:
    """A tensor of strings is an object array."""
    path = save(
        tmp_path,
        helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])],
            [helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])],
        ),
    )
    session = ENGINES["onnxruntime"].load(path, threads=1)
    given = np.array(["one", "two"], dtype=object)
    assert session.run({"x": given})["y"].tolist() == ["one", "two"]


def test_sequences_are_refused(tmp_path: Path) -> None:
    """A model that returns anything but tensors cannot be served, and the error names the output."""
    path = save(
        tmp_path,
        helper.make_graph(
            [helper.make_node("SplitToSequence", ["x"], ["parts"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
            [helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)],
        ),
    )
    with pytest.raises(EngineError, match="'parts' is a seq"):
        ENGINES["onnxruntime"].load(path, threads=1)


def test_failure_inside_the_model_names_the_file(tmp_path: Path) -> None:
    """What ONNX Runtime raises becomes an EngineError."""
    path = save(
        tmp_path,
        helper.make_graph(
            [helper.make_node("Reshape", ["x", "shape"], ["y"])],
            "g",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
                helper.make_tensor_value_info("shape", TensorProto.INT64, [1]),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m"])],
        ),
    )
    session = ENGINES["onnxruntime"].load(path, threads=1)
    with pytest.raises(EngineError, match="onnxruntime failed on") as error:
        session.run({"x": np.zeros(3, np.float32), "shape": np.array([7])})
    assert str(path) in str(error.value)
