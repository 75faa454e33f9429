"""The model that every server runs: a small convolutional network, made deep enough to take about a given time."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import onnxruntime

SHAPE = (3, 96, 96)
"""One picture in float32: 110,592 bytes."""
WIDTH = 64
INPUT, OUTPUT = "x", "y"
TARGETS_MS = (1.0, 10.0)

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Model(msgspec.Struct, frozen=True):
    """A model file; ``engine_ms`` is what one item took when it was made."""

    name: str
    path: str
    engine_ms: float


def make_models(folder: Path, targets_ms: tuple[float, ...] = TARGETS_MS) -> list[Model]:
    """Write a model for each time wanted: as deep as the time of a shallow one says."""
    return [_make(folder, target_ms) for target_ms in targets_ms]


def example(items: int = 1) -> Array:
    """Return the same pictures at every call, with a batch axis."""
    return np.random.default_rng(7).normal(size=(items, *SHAPE)).astype(np.float32)


def open_session(path: str, threads: int = 1) -> "onnxruntime.InferenceSession":
    """Load a model as all the servers do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _make(folder: Path, target_ms: float) -> Model:
    name = f"convnet{target_ms:g}ms"
    path = folder / f"{name}.onnx"
    blocks = 4
    for _ in range(3):
        _write(path, blocks)
        took_ms = _time_ms(path)
        if abs(took_ms / target_ms - 1) < 0.1:
            break
        blocks = max(1, round(blocks * target_ms / took_ms))
    return Model(name=name, path=str(path), engine_ms=took_ms)


def _time_ms(path: Path) -> float:
    session = open_session(str(path))
    feed = {INPUT: example()}
    times = []
    for _ in range(30):
        started = time.thread_time()
        session.run(None, feed)
        times.append((time.thread_time() - started) * 1e3)
    return float(np.median(times))


def _write(path: Path, blocks: int) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def convolution(source: str, result: str, channels: int, stride: int) -> None:
        name = f"w{len(weights)}"
        scale = (2 / (channels * 9)) ** 0.5
        values = random.normal(0, scale, (WIDTH, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        nodes.append(
            helper.make_node(
                "Conv", [source, name], [f"{name}c"], kernel_shape=[3, 3], strides=[stride, stride], pads=[1] * 4
            )
        )
        nodes.append(helper.make_node("Relu", [f"{name}c"], [result]))

    convolution(INPUT, "h0", SHAPE[0], 4)
    for block in range(blocks):
        convolution(f"h{block}", f"h{block + 1}", WIDTH, 1)
    nodes.append(helper.make_node("GlobalAveragePool", [f"h{blocks}"], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], [OUTPUT]))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "convnet",
        [info(INPUT, TensorProto.FLOAT, ["N", *SHAPE])],
        [info(OUTPUT, TensorProto.FLOAT, ["N", WIDTH])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
