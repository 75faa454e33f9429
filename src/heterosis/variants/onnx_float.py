"""Floating-point variants of ONNX models."""

from pathlib import Path

from heterosis.variants.digests import cpu
from heterosis.variants.onnx_int8 import recent
from heterosis.variants.recipe import Items


def optimised(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Fold, fuse and simplify once, what ONNX Runtime otherwise does at every load.

    Up to the level that does not depend on the processor; the layout of the last level is still made at each load.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "model.onnx")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def fp16(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Weights and arithmetic in float16, inputs and outputs in float32 as before."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(recent(source), keep_io_types=True), folder / "model.onnx")


def lacks_fp16() -> str:
    """Say so where ONNX Runtime's own kernels on this processor do not compute in float16."""
    return "" if "asimdhp" in cpu() else "ONNX Runtime computes in float16 on Arm processors that can, and on no other"
