"""Variants for OpenVINO, in its own format (IR).

The 8-bit variant is an ONNX model quantised by `onnx_int8` and read by OpenVINO, with convolutions and matrix products
alone in 8 bits: OpenVINO ran that 1.2 to 1.5 times faster on the models of examples/ocr than with all operators in 8
bits, which ONNX Runtime prefers.
"""

from pathlib import Path

from heterosis.engines.openvino import PRECISION_INFO
from heterosis.variants import onnx_int8
from heterosis.variants.recipe import Items, Unsuited


def as_it_is(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert the model, its weights unchanged."""
    _convert(source, folder, "f32")


def bf16(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert the model, to be computed in bfloat16 where the processor can."""
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsuited("this processor does not compute in bfloat16")
    _convert(source, folder, "bf16")


def int8(source: Path, items: Items, folder: Path) -> None:
    """Quantise convolutions and matrix products, ranges from the items, and convert the result."""
    quantised = folder / "quantised.onnx"
    onnx_int8.quantise(source, items, quantised, onnx_int8.HEAVY)
    _convert(quantised, folder, "f32")


def _convert(source: Path, folder: Path, precision: str) -> None:
    import openvino

    model = openvino.Core().read_model(source)
    model.set_rt_info(precision, PRECISION_INFO)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
