"""8-bit integer variants of ONNX models, by ONNX Runtime's quantisation tools.

Choices, each measured on the models of examples/ocr:

- *dynamic*: only matrix products. With convolutions too (ConvInteger), all models ran 1.2 to 4 times slower than in
  float32 and were less accurate, since no fast kernel exists.
- *static*: quantise-dequantise pairs (QDQ), unsigned activations, signed weights with a scale for each channel.
- Weights use 7 bits (``reduce_range``) on x86 without VNNI, where sums of 8-bit products saturate; elsewhere 8, which
  cost up to 0.03 less of the pipeline's accuracy.
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


def dynamic(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Weights of matrix products in 8 bits, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = folder / "model.onnx"
    quantize_dynamic(
        _prepared(source, folder, PRODUCTS),
        made,
        op_types_to_quantize=list(PRODUCTS),
        per_channel=True,
        reduce_range=_saturates(),
        weight_type=QuantType.QInt8,
    )
    if not _operators(made) & {"MatMulInteger", "DynamicQuantizeLinear"}:
        raise Unsuited("none of its matrix products has fixed weights to quantise")


def static(source: Path, items: Items, folder: Path) -> None:
    """Weights and activations of every operator that ONNX Runtime can run in 8 bits, ranges from the items."""
    quantise(source, items, folder / "model.onnx", operators=None)


def quantise(source: Path, items: Items, made: Path, operators: Sequence[str] | None) -> None:
    """Write a QDQ model of these operators, all possible ones for None."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    quantize_static(
        _prepared(source, made.parent, HEAVY),
        made,
        _Reader(items),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(operators) if operators else None,
        per_channel=True,
        reduce_range=_saturates(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _saturates() -> bool:
    """Whether this processor loses the top of sums of 8-bit products."""
    features = set(cpu())
    return "x86_64" in features and not features & {"avx_vnni", "avx512_vnni"}


def _prepared(source: Path, folder: Path, wanted: Sequence[str]) -> Path:
    """Write the model as the quantiser wants it: of a recent opset, constants folded, norms fused, shapes known."""
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(source)
    if not {node.op_type for node in model.graph.node} & set(wanted):
        raise Unsuited(f"it has no {', '.join(wanted[:-1])} or {wanted[-1]} to quantise")
    if next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) < LEAST_OPSET:
        model = version_converter.convert_version(model, OPSET)
    recent, prepared = folder / "recent.onnx", folder / "prepared.onnx"
    onnx.save(model, recent)
    quant_pre_process(recent, prepared, skip_symbolic_shape=True)
    return prepared


def _operators(path: Path) -> set[str]:
    import onnx

    return {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}


class _Reader:
    """Hands the items to the quantiser one by one."""

    def __init__(self, items: Items) -> None:
        self._items: Iterator[Mapping[str, np.ndarray[Any, Any]]] = iter(items)

    def get_next(self) -> Mapping[str, np.ndarray[Any, Any]] | None:
        return next(self._items, None)
