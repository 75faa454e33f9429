"""What each recipe makes of a model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from heterosis.engines import ENGINE_OF, ENGINES
from heterosis.variants import onnx_int8
from heterosis.variants.recipe import Items, Unsuited
from heterosis.variants.recipes import RECIPES, as_it_is

Write = Callable[..., Path]


def tiles(count: int, seed: int = 0) -> Items:
    """Draw inputs for the model."""
    draw = np.random.default_rng(seed)
    return [{"tile": draw.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def model(write_pipeline: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of tiles."""
    return write_pipeline(tmp_path_factory.mktemp("model"), truth=False).with_name("big.onnx")


def operators(path: Path) -> set[str]:
    """Return the operators of an ONNX model."""
    return {node.op_type for node in onnx.load(path).graph.node}


@pytest.mark.parametrize(("suffix", "engine"), list(ENGINE_OF.items()))
def test_every_kind_of_file_is_taken_as_it_is_by_its_engine(suffix: str, engine: str) -> None:
    """That makes a stage's reference, so it comes before all that is made of such files."""
    recipe = as_it_is(suffix)
    assert RECIPES[recipe].engine == engine
    assert next(name for name, each in RECIPES.items() if suffix in each.sources) == recipe


FROM_ONNX = [name for name, recipe in RECIPES.items() if recipe.make and ".onnx" in recipe.sources]


@pytest.mark.parametrize("name", [name for name in FROM_ONNX if not RECIPES[name].lacking()])
def test_what_is_made_computes_the_same(name: str, model: Path, tmp_path: Path) -> None:
    """On the recipe's engine, within what its precision allows, for batches too, with the same names."""
    recipe = RECIPES[name]
    assert recipe.make is not None
    try:
        recipe.make(model, tiles(8) if recipe.calibrated else (), tmp_path)
    except Unsuited as reason:
        assert name == "openvino-bf16"
        pytest.skip(str(reason))
    batch = {"tile": np.concatenate([item["tile"] for item in tiles(16, seed=1)])}
    expected = ENGINES["onnxruntime"].load(model, threads=1).run(batch)["scores"]
    kind = recipe.precision.partition("-")[0]
    allowed = {"": 1e-5, "fp32": 1e-5, "fp16": 0.01, "bf16": 0.02, "int8": 0.1}[kind]
    for artifact in recipe.artifacts:
        session = ENGINES[recipe.engine].load(tmp_path / artifact, threads=1)
        assert [spec.name for spec in session.inputs] == ["tile"]
        assert [spec.name for spec in session.outputs] == ["scores"]
        got = session.run(batch)["scores"]
        assert np.abs(got - expected).mean() <= allowed * np.abs(expected).mean()


def test_dynamic_quantisation_leaves_convolutions_alone(model: Path, tmp_path: Path) -> None:
    """Integer convolutions without fixed ranges are slower than float ones."""
    onnx_int8.dynamic(model, (), tmp_path)
    made = operators(tmp_path / "model.onnx")
    assert "MatMulInteger" in made
    assert "Conv" in made
    assert "ConvInteger" not in made


def test_static_quantisation_has_a_scale_for_each_channel(model: Path, tmp_path: Path) -> None:
    """Of signed weights; activations are unsigned."""
    onnx_int8.static(model, tiles(4), tmp_path)
    made = onnx.load(tmp_path / "minmax.onnx").graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in made.initializer}
    kernels = [c for name, c in constants.items() if name.startswith("kernel") and c.shape == (16, 3, 5, 5)]
    assert [kernel.dtype for kernel in kernels] == [np.int8]
    scales = [c for name, c in constants.items() if name.startswith("kernel") and "scale" in name]
    assert [scale.shape for scale in scales] == [(16,)]
    points = [c for name, c in constants.items() if name.startswith("tile") and "zero_point" in name]
    assert [point.dtype for point in points] == [np.uint8]


@pytest.mark.parametrize(
    ("features", "largest"),
    [
        (["x86_64", "avx2"], 64),
        (["x86_64", "avx2", "avx512_vnni"], 127),
        (["x86_64", "avx2", "avx_vnni"], 127),
        (["aarch64", "asimddp"], 127),
    ],
)
def test_weights_leave_room_where_sums_saturate(
    features: list[str], largest: int, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On x86 without VNNI they use 7 bits of 8."""
    monkeypatch.setattr(onnx_int8, "cpu", lambda: features)
    onnx_int8.static(model, tiles(2), tmp_path)
    made = onnx.load(tmp_path / "minmax.onnx").graph
    weights = [onnx.numpy_helper.to_array(t) for t in made.initializer if t.data_type == TensorProto.INT8]
    assert max(int(np.abs(array.astype(int)).max()) for array in weights) == largest


def test_old_models_are_brought_up_to_date(model: Path, tmp_path: Path) -> None:
    """Scales for each channel need opset 13; models of opset 11 are common."""
    old = onnx.load(model)
    old.opset_import[0].version = 11  # its operators mean the same there
    onnx.save(old, tmp_path / "old.onnx")
    onnx_int8.static(tmp_path / "old.onnx", tiles(4), tmp_path)
    session = ENGINES["onnxruntime"].load(tmp_path / "minmax.onnx", threads=1)
    expected = ENGINES["onnxruntime"].load(tmp_path / "old.onnx", threads=1).run(tiles(1)[0])["scores"]
    np.testing.assert_allclose(session.run(tiles(1)[0])["scores"], expected, atol=0.1 * np.abs(expected).max())


def test_models_without_heavy_operators_are_left_alone(tmp_path: Path) -> None:
    """The reason says what is missing."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(Unsuited, match="no Conv, MatMul or Gemm"):
        onnx_int8.static(path, [{"x": np.ones((1, 2), np.float32)}], tmp_path)
    with pytest.raises(Unsuited, match="no MatMul or Gemm"):
        onnx_int8.dynamic(path, (), tmp_path)


def test_products_of_two_inputs_have_nothing_to_quantise(tmp_path: Path) -> None:
    """Dynamic quantisation is of weights, and here are none."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2])],
    )
    path = tmp_path / "square.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(Unsuited, match="fixed weights"):
        onnx_int8.dynamic(path, (), tmp_path)
