"""What can be made of a model: the table of recipes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from heterosis.engines.onnxruntime import PROVIDERS, present
from heterosis.variants import accelerators, onnx_float, onnx_int8, openvino_ir, sensitivity, tflite
from heterosis.variants.recipe import Items, Recipe

Make = Callable[[Path, Items, Path], None]

ONNX = ("onnxruntime", "onnx")
MODEL = {"model.onnx": ""}
SHARES = {share: told for share, (_, told) in onnx_int8.SHARES.items()}


def _files(alternatives: dict[str, str], suffix: str) -> dict[str, str]:
    return {f"{name}{suffix}": told for name, told in alternatives.items()}


def _for_tensorrt(precision: str, make: Make) -> Recipe:
    return Recipe(
        engine="tensorrt",
        precision=precision,
        packages=("tensorrt", "cuda-python"),
        extra="tensorrt",
        artifacts={accelerators.PLAN: ""},
        make=make,
        calibrated=True,  # the items' shapes are what it is built for
    )


def _for_edgetpu(sources: tuple[str, ...], packages: tuple[str, ...], tools: Mapping[str, str]) -> Recipe:
    return Recipe(
        engine="edgetpu",
        precision="int8",
        sources=sources,
        packages=("ai-edge-litert", *packages),
        extra="litert-int8",
        tools={**accelerators.COMPILER, **tools},
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
    return Recipe(
        engine=provider,
        precision="fp16",
        packages=ONNX,
        present=lambda: _lacks_provider(provider),
        artifacts=MODEL,
        make=onnx_float.fp16,
    )


def _lacks_provider(engine: str) -> str:
    provider = PROVIDERS[engine]
    return "" if present(engine) else f"this ONNX Runtime has no {provider.name}; that takes {provider.package}"


RECIPES: dict[str, Recipe] = {
    "onnxruntime": Recipe(engine="onnxruntime", sources=(".onnx",), packages=("onnxruntime",)),
    "litert": Recipe(engine="litert", sources=(".tflite",), packages=("ai-edge-litert",), extra="litert"),
    "openvino-ir": Recipe(engine="openvino", sources=(".xml",), packages=("openvino",)),
    "torch": Recipe(engine="torch", sources=(".pt2",), packages=("torch",)),
    "onnxruntime-optimised": Recipe(
        engine="onnxruntime",
        precision="fp32-optimised",
        packages=("onnxruntime",),
        artifacts=MODEL,
        make=onnx_float.optimised,
    ),
    "onnxruntime-fp16": Recipe(
        engine="onnxruntime",
        precision="fp16",
        packages=ONNX,
        present=onnx_float.lacks_fp16,
        artifacts=MODEL,
        make=onnx_float.fp16,
    ),
    "onnxruntime-int8": Recipe(
        engine="onnxruntime",
        precision="int8",
        packages=ONNX,
        artifacts=_files(onnx_int8.RANGES, ".onnx"),
        make=onnx_int8.static,
        calibrated=True,
        version=3,
    ),
    "onnxruntime-int8-mixed": Recipe(
        engine="onnxruntime",
        precision="int8-mixed",
        packages=ONNX,
        artifacts=_files(SHARES, ".onnx"),
        make=sensitivity.mixed,
        calibrated=True,
        instead_of="onnxruntime-int8",
    ),
    "onnxruntime-int8-dynamic": Recipe(
        engine="onnxruntime", precision="int8-dynamic", packages=ONNX, artifacts=MODEL, make=onnx_int8.dynamic
    ),
    "onnxruntime-cuda": _by("onnxruntime-cuda"),
    "onnxruntime-cuda-fp16": _fp16_by("onnxruntime-cuda"),
    "onnxruntime-tensorrt": _by("onnxruntime-tensorrt"),
    "onnxruntime-tensorrt-fp16": _fp16_by("onnxruntime-tensorrt"),
    "onnxruntime-openvino": _by("onnxruntime-openvino"),
    "onnxruntime-xnnpack": _by("onnxruntime-xnnpack"),
    "openvino": Recipe(
        engine="openvino", packages=("openvino",), artifacts={openvino_ir.MADE: ""}, make=openvino_ir.as_it_is
    ),
    "openvino-fp16": Recipe(
        engine="openvino",
        precision="fp16",
        packages=("openvino",),
        artifacts={openvino_ir.MADE: ""},
        make=openvino_ir.fp16,
    ),
    "openvino-bf16": Recipe(
        engine="openvino",
        precision="bf16",
        packages=("openvino",),
        artifacts={openvino_ir.MADE: ""},
        make=openvino_ir.bf16,
    ),
    "openvino-int8": Recipe(
        engine="openvino",
        precision="int8",
        packages=("openvino", *ONNX),
        artifacts=_files(onnx_int8.RANGES, ".xml"),
        make=openvino_ir.int8,
        calibrated=True,
        version=3,
    ),
    "openvino-int8-mixed": Recipe(
        engine="openvino",
        precision="int8-mixed",
        packages=("openvino", *ONNX),
        artifacts=_files(SHARES, ".xml"),
        make=openvino_ir.mixed,
        calibrated=True,
        instead_of="openvino-int8",
    ),
    "openvino-int8-nncf": Recipe(
        engine="openvino",
        precision="int8-nncf",
        packages=("openvino", "nncf"),
        artifacts={openvino_ir.MADE: ""},
        make=openvino_ir.nncf,
        calibrated=True,
    ),
    "litert-of-onnx": Recipe(
        engine="litert",
        packages=("ai-edge-litert",),
        extra="litert",
        tools=tflite.ONNX2TF,
        artifacts={tflite.MADE: ""},
        make=tflite.of_onnx,
    ),
    "litert-int8-of-onnx": Recipe(
        engine="litert",
        precision="int8",
        packages=("ai-edge-litert",),
        extra="litert",
        tools=tflite.ONNX2TF,
        artifacts={tflite.MADE: ""},
        make=tflite.int8_of_onnx,
        calibrated=True,
    ),
    "litert-int8-dynamic": Recipe(
        engine="litert",
        precision="int8-dynamic",
        sources=(".tflite",),
        packages=("ai-edge-litert", "ai-edge-quantizer"),
        extra="litert-int8",
        artifacts={tflite.MADE: ""},
        make=tflite.dynamic,
    ),
    "tensorrt": _for_tensorrt("", accelerators.tensorrt),
    "tensorrt-fp16": _for_tensorrt("fp16", accelerators.tensorrt_fp16),
    "edgetpu": _for_edgetpu((".onnx", ".pt2"), (), tflite.ONNX2TF),
    "edgetpu-of-tflite": _for_edgetpu((".tflite",), ("ai-edge-quantizer",), {}),
    "litert-int8": Recipe(
        engine="litert",
        precision="int8",
        sources=(".tflite",),
        packages=("ai-edge-litert", "ai-edge-quantizer"),
        extra="litert-int8",
        artifacts={tflite.MADE: ""},
        make=tflite.static,
        calibrated=True,
    ),
}
"""In the order in which a stage's variants are listed; those that take the model as its author made it come first."""


def as_it_is(suffix: str) -> str:
    """Return the recipe of what users of a model already have, by the suffix of its file."""
    return next(name for name, recipe in RECIPES.items() if recipe.make is None and suffix in recipe.sources)
