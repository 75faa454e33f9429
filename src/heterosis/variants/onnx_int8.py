"""8-bit integer variants of ONNX models, by ONNX Runtime's quantisation tools.

Choices, each measured on the models of examples/ocr:

- *dynamic*: only matrix products. With convolutions too (ConvInteger), all models ran 1.2 to 4 times slower than in
  float32 and were less accurate, since no fast kernel exists.
- *static*: quantise-dequantise pairs (QDQ), unsigned activations, signed weights with a scale for each channel. The
  ranges of activations are found in three ways, and the most accurate is kept.
- Weights use 7 bits (``reduce_range``) on x86 without VNNI, where sums of 8-bit products saturate; elsewhere 8, which
  cost up to 0.03 less of the pipeline's accuracy.
- *mixed*: the layers that suffer most stay in float32; see `sensitivity`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heterosis.variants.digests import cpu
from heterosis.variants.recipe import Items, Unsuited

PRODUCTS = ("MatMul", "Gemm")
HEAVY = ("Conv", *PRODUCTS)
OPSET = 17
"""What older models are converted to; quantising by channel needs 13."""
LEAST_OPSET = 13

RANGES = {
    "minmax": "ranges by min-max",
    "percentile": "ranges by percentile",
    "entropy": "ranges by entropy",
}
"""Ways to find the ranges of activations from the items: all of what was seen; all but the outermost 0.001 %; or those
of which 8 bits lose the least information (Kullback and Leibler's measure)."""
_METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}

AT_ONCE = 3
"""Items whose activations are all in memory at once, for histograms of them."""

SHARES = {
    "float5": (0.05, "1 in 20 layers left in float32"),
    "float15": (0.15, "3 in 20 layers left in float32"),
    "float40": (0.40, "8 in 20 layers left in float32"),
}
"""How many of the layers stay in float32 in a mixed model."""


def dynamic(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Weights of matrix products in 8 bits, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = folder / "model.onnx"
    quantize_dynamic(
        prepare(source, folder, PRODUCTS),
        made,
        op_types_to_quantize=list(PRODUCTS),
        per_channel=True,
        reduce_range=saturates(),
        weight_type=QuantType.QInt8,
    )
    if not _operators(made) & {"MatMulInteger", "DynamicQuantizeLinear"}:
        raise Unsuited("none of its matrix products has fixed weights to quantise")


def static(source: Path, items: Items, folder: Path) -> None:
    """Weights and activations of every operator that ONNX Runtime can run in 8 bits, ranges from the items."""
    static_of(source, items, folder, operators=None)


def static_of(source: Path, items: Items, folder: Path, operators: Sequence[str] | None) -> None:
    """Write a QDQ model of these operators, all possible ones for None, for each way to find ranges that works.

    Histograms, which percentile and entropy need, cannot be made of activations that are next to constant.
    """
    prepared = prepare(source, folder, HEAVY)
    failed = []
    for ranges in RANGES:
        try:
            quantise(prepared, items, folder / f"{ranges}.onnx", ranges=ranges, operators=operators)
        except ValueError as error:
            failed.append(error)
    if len(failed) == len(RANGES):
        raise failed[0]


def quantise(
    prepared: Path,
    items: Items,
    made: Path,
    *,
    ranges: str = "minmax",
    operators: Sequence[str] | None = None,
    only: Sequence[str] = (),
    but: Sequence[str] = (),
) -> None:
    """Write a QDQ model of these operators, all possible ones for None; of these nodes only, or of all but those.

    Ranges are found once for a folder, and kept beside ``made``.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    whole = ranges == "minmax"
    quantize_static(
        prepared,
        made,
        Reader(items if whole else items[:: -(-len(items) // AT_ONCE)]),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(operators) if operators else None,
        nodes_to_quantize=list(only),
        nodes_to_exclude=list(but),
        per_channel=True,
        reduce_range=saturates(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[_METHODS[ranges]],
        calibration_cache_path=made.with_name(f"ranges-{ranges}.json"),
        extra_options={
            # One item after the other, since all activations of all items would fill the memory. Histograms cannot:
            # that of an item whose activations are a million times another's has no end of bins.
            **({"CalibStridedMinMax": 1} if whole else {}),
            # Onnxruntime 1.31 raises ValueError as it adjusts the weights of a bias that several nodes share.
            "QDQDisableWeightAdjustForInt32Bias": True,
        },
    )


def saturates() -> bool:
    """Whether this processor loses the top of sums of 8-bit products."""
    features = set(cpu())
    return "x86_64" in features and not features & {"avx_vnni", "avx512_vnni"}


def prepare(source: Path, folder: Path, wanted: Sequence[str]) -> Path:
    """Write the model as the quantiser wants it: of a recent opset, constants folded, norms fused, every node named."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = recent(source)
    if not {node.op_type for node in model.graph.node} & set(wanted):
        raise Unsuited(f"it has no {', '.join(wanted[:-1])} or {wanted[-1]} to quantise")
    updated, prepared = folder / "recent.onnx", folder / "prepared.onnx"
    onnx.save(model, updated)
    quant_pre_process(updated, prepared, skip_symbolic_shape=True)
    model = onnx.load(prepared)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    _flatten_biases(model.graph)
    onnx.save(model, prepared)
    return prepared


def _flatten_biases(graph: Any) -> None:
    """Give biases of Gemm the shape (n) in place of (1, n), whose axis of scales the quantiser gets wrong."""
    used = {node.input[2] for node in graph.node if node.op_type == "Gemm" and len(node.input) > 2}  # noqa: PLR2004
    for tensor in graph.initializer:
        if tensor.name in used and len(tensor.dims) == 2 and tensor.dims[0] == 1:  # noqa: PLR2004
            del tensor.dims[0]


def recent(source: Path) -> Any:
    """Load a model, of an opset that every tool here knows."""
    import onnx
    from onnx import version_converter

    model = onnx.load(source)
    if next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) < LEAST_OPSET:
        return version_converter.convert_version(model, OPSET)
    return model


def _operators(path: Path) -> set[str]:
    import onnx

    return {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}


class Reader:
    """Hands the items to a quantiser one by one: ONNX Runtime's ``CalibrationDataReader``."""

    def __init__(self, items: Items) -> None:
        """Begin with the first."""
        self._items = items
        self.set_range(0, len(items))

    def __len__(self) -> int:
        """Count them."""
        return len(self._items)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Hand out these, from now on."""
        self._left: Iterator[Mapping[str, np.ndarray[Any, Any]]] = iter(self._items[start_index:end_index])

    def get_next(self) -> Mapping[str, np.ndarray[Any, Any]] | None:
        """Return the next one; None after the last."""
        return next(self._left, None)
