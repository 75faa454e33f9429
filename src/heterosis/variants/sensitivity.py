"""Which layers of a model suffer most in 8 bits, and models that keep those in float32.

Each layer is quantised alone, and the error of the model's output measured on a few items (the one-at-a-time analysis
of Wu et al., "Integer quantization for deep learning inference", 2020, section 6.1). That takes a conversion and a run
for each layer: within a budget of time, from both ends of the model inwards, since layers near its input and output are
usually the worst.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from heterosis.engines import ENGINES
from heterosis.variants import onnx_int8
from heterosis.variants.recipe import Items, Unsuited

BUDGET_S = 60.0
ITEMS = 2
"""Items to measure a layer's error on."""


def mixed(source: Path, items: Items, folder: Path) -> None:
    """Write models of 8 bits with growing shares of their layers in float32, the most sensitive first."""
    mixed_of(source, items, folder, operators=None)


def mixed_of(source: Path, items: Items, folder: Path, operators: Sequence[str] | None) -> None:
    """Do so for these operators, all possible ones for None."""
    prepared = onnx_int8.prepare(source, folder, onnx_int8.HEAVY)
    order = most_sensitive(prepared, items, BUDGET_S)
    if len(order) < 2:  # noqa: PLR2004
        raise Unsuited("it has but one layer to quantise")
    for name, (share, _) in onnx_int8.SHARES.items():
        kept = order[: max(1, round(share * len(order)))]
        onnx_int8.quantise(prepared, items, folder / f"{name}.onnx", operators=operators, but=kept)


def most_sensitive(
    prepared: Path, items: Items, budget_s: float, clock: Callable[[], float] = time.monotonic
) -> list[str]:
    """Return the names of a model's heavy layers, that which costs most in 8 bits first.

    Layers for which time did not suffice come last. One is measured in any case.
    """
    few = items[:ITEMS]
    expected = _outputs(prepared, few)
    trial = prepared.with_name("trial.onnx")
    ends = clock() + budget_s
    errors: dict[str, float] = {}
    layers = _layers(prepared)
    for layer in _inwards(layers):
        if errors and clock() > ends:
            break
        onnx_int8.quantise(prepared, items, trial, only=[layer])
        errors[layer] = sum(
            float(np.mean((got - wanted) ** 2) / (np.mean(wanted**2) + np.finfo(np.float32).tiny))
            for got, wanted in zip(_outputs(trial, few), expected, strict=True)
        )
    return sorted(layers, key=lambda layer: -errors.get(layer, -1.0))


def _layers(prepared: Path) -> list[str]:
    """Return the names of the heavy nodes that have weights, in the model's order."""
    import onnx

    graph = onnx.load(prepared, load_external_data=False).graph
    fixed = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type in onnx_int8.HEAVY and fixed & set(node.input)]


def _inwards(layers: Sequence[str]) -> list[str]:
    """Return the last, the first, the last but one, and so on."""
    order: list[str] = []
    left = list(layers)
    while left:
        order.append(left.pop(-1 if len(order) % 2 == 0 else 0))
    return order


def _outputs(path: Path, items: Items) -> list[np.ndarray]:
    """Return every floating-point output for every item."""
    session = ENGINES["onnxruntime"].load(path, threads=1)
    made = [array for item in items for array in session.run(item).values() if array.dtype.kind == "f"]
    session.close()
    return made
