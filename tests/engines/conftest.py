"""Small models of every kind that an engine loads, all of one shape: images in, scores and classes out."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from heterosis.engines.emulated import EmulatedModel, EmulatedPoint
from heterosis.engines.onnxruntime import PROVIDERS, present
from heterosis.terms import DYNAMIC, Energy, Quality, TensorSpec

Make = Callable[..., Path]

CHANNELS, CLASSES = 3, 5


def write_onnx(folder: Path, width: int = 8) -> Path:
    """Write a convolution and a classifier over images (n, 3, h, w) with a bias (n, 5), its last axes dynamic."""
    draw = np.random.default_rng(0)
    kernel = draw.normal(0, 0.5, (width, CHANNELS, 3, 3)).astype(np.float32)
    weights = draw.normal(0, 0.5, (width, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["features"], ["active"]),
            helper.make_node("ReduceMean", ["active"], ["pooled"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["pooled", "weights"], ["plain"]),
            helper.make_node("Add", ["plain", "bias"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
        ],
        "small",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", CHANNELS, "h", "w"]),
            helper.make_tensor_value_info("bias", TensorProto.FLOAT, ["n", CLASSES]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES]),
            helper.make_tensor_value_info("class", TensorProto.INT64, ["n"]),
        ],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    path = folder / "small.onnx"
    onnx.save(model, path)
    return path


def write_ir(folder: Path, width: int = 8) -> Path:
    """Write the same model as OpenVINO's IR."""
    openvino = pytest.importorskip("openvino")
    path = folder / "small.xml"
    openvino.save_model(openvino.convert_model(write_onnx(folder, width)), path, compress_to_fp16=False)
    return path


def write_tflite(folder: Path, width: int = 8) -> Path:
    """Write the same model for LiteRT, with its axes as the others have them."""
    pytest.importorskip("ai_edge_litert")
    from tests.tflite_models import TfliteModel

    draw = np.random.default_rng(0)
    kernel = draw.normal(0, 0.5, (width, CHANNELS, 3, 3)).astype(np.float32)
    weights = draw.normal(0, 0.5, (width, CLASSES)).astype(np.float32)
    model = TfliteModel()
    model.tensor("image", (DYNAMIC, CHANNELS, DYNAMIC, DYNAMIC))
    model.tensor("bias", (DYNAMIC, CLASSES))
    model.tensor("channels_last", (DYNAMIC, DYNAMIC, DYNAMIC, CHANNELS))
    model.tensor("active", (DYNAMIC, DYNAMIC, DYNAMIC, width))
    model.tensor("pooled", (DYNAMIC, width))
    model.tensor("plain", (DYNAMIC, CLASSES))
    model.tensor("scores", (DYNAMIC, CLASSES))
    model.tensor("class", (DYNAMIC,), "int64")
    model.constant("order", np.array([0, 2, 3, 1], np.int32))
    model.constant("kernel", kernel.transpose(0, 2, 3, 1))
    model.constant("zeros", np.zeros(width, np.float32))
    model.constant("places", np.array([1, 2], np.int32))
    model.constant("weights", weights.T)
    model.constant("axis", np.array(1, np.int32))
    model.operator("Transpose", ["image", "order"], "channels_last")
    relu = {"strideH": 1, "strideW": 1, "padding": 0, "fusedActivationFunction": 1}
    model.operator("Conv2D", ["channels_last", "kernel", "zeros"], "active", **relu)
    model.operator("Mean", ["active", "places"], "pooled")
    model.operator("FullyConnected", ["pooled", "weights"], "plain")
    model.operator("Add", ["plain", "bias"], "scores")
    model.operator("ArgMax", ["scores", "axis"], "class", outputType=4)
    inputs, outputs = (("image", "bias"), ("scores", "class"))
    return model.write(folder / "small.tflite", {n: n for n in inputs}, {n: n for n in outputs})


def write_points(folder: Path) -> Path:
    """Write operating points that pretend to be the same model."""
    path = folder / "small.json"
    EmulatedModel(
        device="toy",
        source="a test",
        inputs=(
            TensorSpec(name="image", dtype="float32", shape=(DYNAMIC, CHANNELS, DYNAMIC, DYNAMIC)),
            TensorSpec(name="bias", dtype="float32", shape=(DYNAMIC, CLASSES)),
        ),
        outputs=(
            TensorSpec(name="scores", dtype="float32", shape=(DYNAMIC, CLASSES)),
            TensorSpec(name="class", dtype="int64", shape=(DYNAMIC,)),
        ),
        points=tuple(
            EmulatedPoint(
                batch=batch,
                latency_ms=((50, 10.0 + batch), (99, 12.0 + batch)),
                energy=Energy(0.5 * batch, Quality.MODELLED),
            )
            for batch in (1, 4)
        ),
    ).write(path)
    return path


KINDS: dict[str, tuple[str, Make]] = {
    "onnxruntime": ("onnxruntime", write_onnx),
    "openvino": ("openvino", write_ir),
    "openvino reading onnx": ("openvino", write_onnx),
    "litert": ("litert", write_tflite),
    "emulated": ("emulated", write_points),
    # Whatever else the installed ONNX Runtime was built with.
    **{name: (name, write_onnx) for name in PROVIDERS if name != "onnxruntime" and present(name)},
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Make], Path]:
    """Makes each artifact once, since conversion takes its time."""
    return functools.cache(lambda make: make(tmp_path_factory.mktemp("made")))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, made: Callable[[Make], Path], tmp_path: Path) -> tuple[str, Path]:
    """The name of an engine and an artifact for it."""
    engine, make = KINDS[request.param]
    source = made(make)
    shutil.copytree(source.parent, tmp_path, dirs_exist_ok=True)
    return engine, tmp_path / source.name


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    """The small model as ONNX."""
    return write_onnx(tmp_path)


@pytest.fixture(params=[name for name, (engine, _) in KINDS.items() if name == engine != "emulated"])
def heavy(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The name of an engine that computes, and a wider model, which takes some milliseconds on a large image."""
    engine, make = KINDS[request.param]
    return engine, make(tmp_path, 128)


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """The small model as operating points."""
    return write_points(tmp_path)
