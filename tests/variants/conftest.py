"""A small pipeline to make variants of: cut a picture into tiles, and tell the class of each."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import heterosis as hs
from heterosis.pipeline import LocalCaller, Pipeline, Trace, trace
from heterosis.terms import VariantSet
from heterosis.variants import make_variants

Write = Callable[..., Path]
Weights = dict[str, np.ndarray]

PIPELINE = '''
"""A picture is cut into tiles; each tile is classified."""

import numpy as np

import heterosis as hs


class Cut:
    """Cut a picture (3, 16, 32) into two tiles."""

    def run(self, picture):
        return [picture[:, :, :16], picture[:, :, 16:]]


class Classify:
    """Tell the class of a tile (3, 16, 16)."""

    models = MODELS

    def before(self, tile):
        return tile * np.float32(1.0)

    def after(self, scores, tile):
        return int(scores.argmax())


class Rare:
    """Never called."""

    models = {"only": "big.onnx", "other": "noisy.onnx"}

    def before(self, tile):
        return tile

    def after(self, scores, tile):
        return int(scores.argmax())


cut, classify, rare = hs.stage(Cut), hs.stage(Classify), hs.stage(Rare)


@hs.pipeline(slo=hs.Slo(latency_ms=100, min_accuracy=FLOOR))
async def tiles(picture: np.ndarray) -> list[int]:
    classes = await hs.gather(classify(tile) for tile in await cut(picture))
    if len(classes) > 2:
        await rare(picture)
    return classes


@tiles.samples
def pictures():
    draw = np.random.default_rng(7)
    for number in range(24):
        picture = draw.normal(0, 1, (3, 16, 32)).astype(np.float32)
        yield hs.Sample({"picture": picture}, truth=TRUTHS[number])


@tiles.accuracy
def share(result, truth):
    return sum(a == b for a, b in zip(result, truth, strict=True)) / len(truth)
'''


def weights(seed: int = 0) -> Weights:
    """Draw a convolution (16 kernels of 5 x 5) and a classifier of 8 classes."""
    draw = np.random.default_rng(seed)
    return {
        "kernel": draw.normal(0, 0.2, (16, 3, 5, 5)).astype(np.float32),
        "weights": draw.normal(0, 0.2, (16 * 4 * 4, 8)).astype(np.float32),
    }


def write_model(path: Path, made_of: Mapping[str, np.ndarray], *, opset: int = 17, side: int | str = "s") -> Path:
    """Write a classifier of tiles; ``side`` fixes their size."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["tile", "kernel"], ["features"], strides=[4, 4], pads=[2, 2, 2, 2]),
            helper.make_node("Relu", ["features"], ["active"]),
            helper.make_node("Flatten", ["active"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        ],
        "classifier",
        [helper.make_tensor_value_info("tile", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(array, name) for name, array in made_of.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def write_pipeline() -> Write:
    """Writes the pipeline and its models into a folder; truths are what the big model says, or None."""

    def write(
        folder: Path,
        *,
        models: str = '{"big": "big.onnx", "noisy": "noisy.onnx"}',
        floor: str = "0.5",
        truth: bool = True,
    ) -> Path:
        folder.mkdir(exist_ok=True)
        big = weights()
        write_model(folder / "big.onnx", big)
        noise = weights(seed=1)
        write_model(folder / "noisy.onnx", {name: array + 0.3 * noise[name] for name, array in big.items()})
        write_model(folder / "broken.onnx", {**big, "weights": big["weights"] * np.float32("nan")})
        write_model(folder / "large.onnx", {**big, "weights": np.tile(big["weights"], (16, 1))}, side=64)
        write_model(folder / "random.onnx", noise)
        file = folder / "tiles.py"
        text = PIPELINE.replace("MODELS", models).replace("FLOOR", floor)
        file.write_text(text.replace("TRUTHS[number]", "None"))
        if truth:
            truths = traced(hs.load_pipeline(file)).results
            file = folder / "true_tiles.py"
            file.write_text(text.replace("TRUTHS[number]", f"{truths}[number]"))
        return file

    return write


def traced(pipeline: Pipeline, caller: LocalCaller | None = None) -> Trace:
    """Run a pipeline on its samples."""
    found: list[Trace] = []

    async def run() -> None:  # `asyncio.run` of Python 3.11 prints, in vain, all that a coroutine returns
        found.append(await trace(pipeline, pipeline.load_samples(), caller))

    asyncio.run(run())
    return found[0]


@pytest.fixture(scope="session", name="traced")
def traced_() -> Callable[..., Trace]:
    """Runs a pipeline on its samples."""
    return traced


@pytest.fixture(scope="session")
def made(write_pipeline: Write, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Trace, VariantSet]:
    """The pipeline with all variants made once: its file, the store, its trace and the variants. Not to be changed."""
    file = write_pipeline(tmp_path_factory.mktemp("pipeline"))
    store = tmp_path_factory.mktemp("store")
    seen = traced(hs.load_pipeline(file))
    return file, store, seen, make_variants(hs.load_pipeline(file), seen, store)
