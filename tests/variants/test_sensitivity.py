"""Which layers suffer in 8 bits, and what is done about it."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import heterosis as hs
from heterosis.pipeline import Trace
from heterosis.variants import Judge, Verdict, make_variants, onnx_int8
from heterosis.variants.recipe import Items
from heterosis.variants.sensitivity import most_sensitive

Write = Callable[..., Path]
LAYERS = 6
WORST = "layer3"


@pytest.fixture
def items() -> Items:
    """Inputs of the model."""
    draw = np.random.default_rng(1)
    return [{"x": draw.normal(0, 1, (1, 8)).astype(np.float32)} for _ in range(4)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Six layers; one has a weight beside which 8 bits see no other."""
    draw = np.random.default_rng(0)
    weights = [np.eye(8, dtype=np.float32) + draw.normal(0, 0.1, (8, 8)).astype(np.float32) for _ in range(LAYERS)]
    weights[3][0, :] *= 100
    weights[4][:, :] /= 20
    names = ["x", *(f"h{n}" for n in range(LAYERS - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[n], f"w{n}"], [names[n + 1]], name=f"layer{n}") for n in range(LAYERS)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(array, f"w{n}") for n, array in enumerate(weights)],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return onnx_int8.prepare(path, tmp_path, onnx_int8.HEAVY)


def test_every_layer_is_ranked_by_its_own_error(model: Path, items: Items) -> None:
    """Those whose values 8 bits cannot tell apart come first."""
    order = most_sensitive(model, items, budget_s=60)
    assert sorted(order) == [f"layer{n}" for n in range(LAYERS)]
    assert order.index(WORST) < LAYERS // 2


def test_time_that_is_short_goes_to_both_ends(model: Path, items: Items) -> None:
    """What was not measured comes last; one layer is measured in any case."""
    ticks = iter(range(100))
    order = most_sensitive(model, items, budget_s=2.5, clock=lambda: float(next(ticks)))
    assert set(order[:3]) == {"layer5", "layer0", "layer4"}
    assert len(order) == LAYERS
    ticks = iter(range(100))
    assert most_sensitive(model, items, budget_s=-1, clock=lambda: float(next(ticks)))[0] == "layer5"


def test_layers_are_left_in_float_where_the_floor_asks_for_it(
    made: tuple[Path, Path, Trace, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mixed variant with the fewest such layers that reaches the floor takes the place of that in 8 bits."""
    file, store, seen, _ = made
    verdict = Judge.verdict

    def harsh(self: Judge, chosen: dict[str, hs.Stage]) -> Verdict:
        found = verdict(self, chosen)  # type: ignore[arg-type]
        names = {Path(str(getattr(variant, "artifact", ""))).stem for variant in chosen.values()}
        if names & {"minmax", "percentile", "entropy", "float5"}:
            return msgspec.structs.replace(found, accuracy=0.4)
        return found

    monkeypatch.setattr(Judge, "verdict", harsh)
    variants = make_variants(hs.load_pipeline(file), seen, store)
    kept = {variant.name: variant for variant in variants.of("classify")}
    assert "big/onnxruntime-int8" not in kept
    assert kept["big/onnxruntime-int8-mixed"].note == onnx_int8.SHARES["float15"][1]
    assert "less than 0.5" in next(e.reason for e in variants.excluded if e.name == "big/onnxruntime-int8")
