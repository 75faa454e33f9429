"""Variants for OpenVINO, in its own format (IR).

The 8-bit variants are ONNX models quantised by `onnx_int8` and read by OpenVINO, with convolutions and matrix products
alone in 8 bits: OpenVINO ran that 1.2 to 1.5 times faster on the models of examples/ocr than with all operators in 8
bits, which ONNX Runtime prefers. NNCF, OpenVINO's own quantiser, makes one more where it is installed.
"""

from pathlib import Path
from typing import Any

from heterosis.engines.openvino import PRECISION_INFO
from heterosis.variants import onnx_int8, sensitivity
from heterosis.variants.recipe import Items, Unsuited

MADE = "model.xml"


def as_it_is(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert the model, its weights unchanged."""
    _save(_read(source), folder / MADE)


def fp16(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert the model, its weights in float16, to be computed in float16 where the processor can, else in float32."""
    _save(_read(source), folder / MADE, "f16" if _computes("FP16") else "f32", compress=True)


def bf16(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert the model, to be computed in bfloat16 where the processor can."""
    if not _computes("BF16"):
        raise Unsuited("this processor does not compute in bfloat16")
    _save(_read(source), folder / MADE, "bf16")


def int8(source: Path, items: Items, folder: Path) -> None:
    """Quantise convolutions and matrix products, ranges from the items, and convert the result."""
    onnx_int8.static_of(source, items, folder, onnx_int8.HEAVY)
    for quantised in [folder / f"{ranges}.onnx" for ranges in onnx_int8.RANGES]:
        if quantised.exists():
            _save(_read(quantised), quantised.with_suffix(".xml"))


def mixed(source: Path, items: Items, folder: Path) -> None:
    """Likewise, with growing shares of the layers in float32."""
    sensitivity.mixed_of(source, items, folder, onnx_int8.HEAVY)
    for share in onnx_int8.SHARES:
        _save(_read(folder / f"{share}.onnx"), folder / f"{share}.xml")


def nncf(source: Path, items: Items, folder: Path) -> None:
    """Quantise with NNCF: biases corrected, operators chosen for OpenVINO's kernels, ranges from the items."""
    import nncf

    dataset = nncf.Dataset([dict(item) for item in items])
    quantised = nncf.quantize(
        _read(source), dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(items), fast_bias_correction=True
    )
    _save(quantised, folder / MADE)


def _read(source: Path) -> Any:
    import openvino

    return openvino.Core().read_model(source)


def _computes(precision: str) -> bool:
    import openvino

    return precision in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _save(model: Any, made: Path, precision: str = "f32", *, compress: bool = False) -> None:
    import openvino

    model.set_rt_info(precision, PRECISION_INFO)
    openvino.save_model(model, made, compress_to_fp16=compress)
