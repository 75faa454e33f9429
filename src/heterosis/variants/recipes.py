"""What can be made of a model: the table of recipes."""

from collections.abc import Mapping

import msgspec

from heterosis.engines.onnxruntime import PROVIDERS, present
from heterosis.variants import accelerators, onnx_float, onnx_int8, openvino_ir, sensitivity, tflite, vitis_ai
from heterosis.variants.recipe import Recipe

ONNX = ("onnxruntime", "onnx")
RANGES = onnx_int8.RANGES
SHARES = {share: told for share, (_, told) in onnx_int8.SHARES.items()}


def _files(alternatives: Mapping[str, str], suffix: str) -> dict[str, str]:
    return {f"{name}{suffix}": told for name, told in alternatives.items()}


def _lacks_provider(engine: str) -> str:
    provider = PROVIDERS[engine]
    return "" if present(engine) else f"this ONNX Runtime has no {provider.name}; that takes {provider.package}"


# What recipes have in common.
_like = msgspec.structs.replace
_ONNXRUNTIME = Recipe(engine="onnxruntime", packages=ONNX, artifacts={"model.onnx": ""})
_OPENVINO = Recipe(engine="openvino", packages=("openvino",), artifacts={openvino_ir.MADE: ""})
_LITERT_OF_ONNX = Recipe(
    engine="litert", packages=("ai-edge-litert",), extra="litert", tools=tflite.ONNX2TF, artifacts={tflite.MADE: ""}
)
_LITERT = Recipe(
    engine="litert",
    sources=(".tflite",),
    packages=("ai-edge-litert", "ai-edge-quantizer"),
    extra="litert-int8",
    artifacts={tflite.MADE: ""},
)
_TENSORRT = Recipe(
    engine="tensorrt",
    packages=("tensorrt", "cuda-python"),
    extra="tensorrt",
    artifacts={accelerators.PLAN: ""},
    make=accelerators.tensorrt,
    calibrated=True,  # the items' shapes are what it is built for
)
_EDGETPU = Recipe(
    engine="edgetpu",
    precision="int8",
    packages=("ai-edge-litert",),
    extra="litert-int8",
    tools=accelerators.COMPILER | tflite.ONNX2TF,
    artifacts={accelerators.MADE_BY_COMPILER: ""},
    make=accelerators.edgetpu,
    calibrated=True,
)


def _by(provider: str) -> Recipe:
    """The model as it is, by another of ONNX Runtime's providers."""
    return Recipe(
        engine=provider, sources=(".onnx",), packages=("onnxruntime",), present=lambda: _lacks_provider(provider)
    )


def _fp16_by(provider: str) -> Recipe:
    return _like(
        _ONNXRUNTIME,
        engine=provider,
        precision="fp16",
        present=lambda: _lacks_provider(provider),
        make=onnx_float.fp16,
    )


RECIPES: dict[str, Recipe] = {
    "onnxruntime": Recipe(engine="onnxruntime", sources=(".onnx",), packages=("onnxruntime",)),
    "litert": Recipe(engine="litert", sources=(".tflite",), packages=("ai-edge-litert",), extra="litert"),
    "openvino-ir": Recipe(engine="openvino", sources=(".xml",), packages=("openvino",)),
    "torch": Recipe(engine="torch", sources=(".pt2",), packages=("torch",)),
    "onnxruntime-optimised": _like(
        _ONNXRUNTIME, precision="fp32-optimised", packages=("onnxruntime",), make=onnx_float.optimised
    ),
    "onnxruntime-fp16": _like(_ONNXRUNTIME, precision="fp16", present=onnx_float.lacks_fp16, make=onnx_float.fp16),
    "onnxruntime-int8": _like(
        _ONNXRUNTIME,
        precision="int8",
        artifacts=_files(RANGES, ".onnx"),
        make=onnx_int8.static,
        calibrated=True,
        version=3,
    ),
    "onnxruntime-int8-mixed": _like(
        _ONNXRUNTIME,
        precision="int8-mixed",
        artifacts=_files(SHARES, ".onnx"),
        make=sensitivity.mixed,
        calibrated=True,
        instead_of="onnxruntime-int8",
    ),
    "onnxruntime-int8-dynamic": _like(_ONNXRUNTIME, precision="int8-dynamic", make=onnx_int8.dynamic),
    "onnxruntime-cuda": _by("onnxruntime-cuda"),
    "onnxruntime-cuda-fp16": _fp16_by("onnxruntime-cuda"),
    "onnxruntime-tensorrt": _by("onnxruntime-tensorrt"),
    "onnxruntime-tensorrt-fp16": _fp16_by("onnxruntime-tensorrt"),
    "onnxruntime-openvino": _by("onnxruntime-openvino"),
    "onnxruntime-xnnpack": _by("onnxruntime-xnnpack"),
    "openvino": _like(_OPENVINO, make=openvino_ir.as_it_is),
    "openvino-fp16": _like(_OPENVINO, precision="fp16", make=openvino_ir.fp16),
    "openvino-bf16": _like(_OPENVINO, precision="bf16", make=openvino_ir.bf16),
    "openvino-int8": _like(
        _OPENVINO,
        precision="int8",
        packages=("openvino", *ONNX),
        artifacts=_files(RANGES, ".xml"),
        make=openvino_ir.int8,
        calibrated=True,
        version=3,
    ),
    "openvino-int8-mixed": _like(
        _OPENVINO,
        precision="int8-mixed",
        packages=("openvino", *ONNX),
        artifacts=_files(SHARES, ".xml"),
        make=openvino_ir.mixed,
        calibrated=True,
        instead_of="openvino-int8",
    ),
    "openvino-int8-nncf": _like(
        _OPENVINO, precision="int8-nncf", packages=("openvino", "nncf"), make=openvino_ir.nncf, calibrated=True
    ),
    "litert-of-onnx": _like(_LITERT_OF_ONNX, make=tflite.of_onnx),
    "litert-int8-of-onnx": _like(_LITERT_OF_ONNX, precision="int8", make=tflite.int8_of_onnx, calibrated=True),
    "litert-int8-dynamic": _like(_LITERT, precision="int8-dynamic", make=tflite.dynamic),
    "tensorrt": _TENSORRT,
    "tensorrt-fp16": _like(_TENSORRT, precision="fp16", make=accelerators.tensorrt_fp16),
    "edgetpu": _EDGETPU,
    "edgetpu-of-tflite": _like(
        _EDGETPU,
        sources=(".tflite",),
        packages=("ai-edge-litert", "ai-edge-quantizer"),
        tools=accelerators.COMPILER,
    ),
    "vitis-ai": Recipe(
        engine="vitis-ai",
        precision="int8",
        packages=("amd-quark", "torch"),
        extra="vitis-ai",
        tools=vitis_ai.COMPILER,
        files=vitis_ai.FILES,
        artifacts={vitis_ai.MADE: ""},
        make=vitis_ai.xmodel,
        calibrated=True,
    ),
    "litert-int8": _like(_LITERT, precision="int8", make=tflite.static, calibrated=True),
}
"""In the order in which a stage's variants are listed; those that take the model as its author made it come first."""


def as_it_is(suffix: str) -> str:
    """Return the recipe of what users of a model already have, by the suffix of its file."""
    return next(name for name, recipe in RECIPES.items() if recipe.make is None and suffix in recipe.sources)
