"""Variants for accelerators: built with their makers' tools, on machines that have them.

The real builders, exercised here with stand-ins: no machine of ours has these devices.
"""

import shutil
import subprocess
from pathlib import Path

from heterosis.variants import tflite
from heterosis.variants.recipe import Items, Unsuited

COMPILER = {"edgetpu_compiler": "install it from Coral's repository (https://coral.ai/docs/edgetpu/compiler)"}
MADE_BY_COMPILER = "model_edgetpu.tflite"
PLAN = "model.plan"
MOST_ITEMS = 32
"""The largest batch that an engine of TensorRT is built for."""


def edgetpu(source: Path, items: Items, folder: Path) -> None:
    """Quantise everything to 8 bits, inputs and outputs too, and compile the result for the Edge TPU."""
    if source.suffix == ".tflite":
        tflite.static(source, items, folder)
    else:
        tflite.all_int8_of_onnx(source, items, folder)
    said = subprocess.run(  # noqa: S603
        [shutil.which("edgetpu_compiler") or "edgetpu_compiler", "-s", "-o", str(folder), str(folder / tflite.MADE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode or not (folder / MADE_BY_COMPILER).exists():
        raise Unsuited(f"edgetpu_compiler ended with status {said.returncode}: {(said.stdout + said.stderr).strip()}")


def tensorrt(source: Path, items: Items, folder: Path) -> None:
    """Build an engine in float32."""
    _plan(source, items, folder, half=False)


def tensorrt_fp16(source: Path, items: Items, folder: Path) -> None:
    """Build an engine that may compute in float16."""
    _plan(source, items, folder, half=True)


def _plan(source: Path, items: Items, folder: Path, *, half: bool) -> None:
    """Build for batches up to 32, of lengths between the shortest and the longest that the items have."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(source)):
        raise Unsuited("; ".join(str(parser.get_error(number)) for number in range(parser.num_errors)))
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shapes = [item[tensor.name].shape for item in items]
        lengths = list(zip(*shapes, strict=True))
        least, most = [min(axis) for axis in lengths], [max(axis) for axis in lengths]
        if tensor.shape[0] == -1:
            most[0] = MOST_ITEMS
        profile.set_shape(tensor.name, tuple(least), shapes[0], tuple(most))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise Unsuited("TensorRT cannot build it; its log says why")
    (folder / PLAN).write_bytes(bytes(plan))
