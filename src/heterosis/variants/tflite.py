"""Variants for LiteRT: TensorFlow Lite files, made of ONNX or of other TensorFlow Lite files.

Of ONNX by onnx2tf, a program of its own rather than an import: it pins versions of numpy, onnx and TensorFlow that
exclude ours. It keeps the inputs' layout and the batch axis. Of TensorFlow Lite by Google's ai-edge-quantizer, without
TensorFlow. Both lose names of outputs on the way, so a signature of the source's names is written over theirs.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heterosis.terms import TensorSpec
from heterosis.variants.recipe import Items, Unsuited

ONNX2TF = {"onnx2tf": "get it in an environment of its own, for example `uv tool install onnx2tf`"}
MADE = "model.tflite"
SERVED = "serving_default"
_LAST_WORDS = 300


def of_onnx(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Convert, its weights unchanged."""
    _convert(source, folder, [], "float32")


def int8_of_onnx(source: Path, items: Items, folder: Path) -> None:
    """Weights by channel and activations in 8 bits, ranges from the items, inputs and outputs in float32."""
    _convert(source, folder, _calibration(items, folder), "integer_quant")


def all_int8_of_onnx(source: Path, items: Items, folder: Path) -> None:
    """Likewise with inputs and outputs in 8 bits too, as accelerators of integers want it."""
    _convert(source, folder, _calibration(items, folder), "full_integer_quant")


def dynamic(source: Path, items: Items, folder: Path) -> None:  # noqa: ARG001 - one signature for all recipes
    """Weights of a TensorFlow Lite model in 8 bits, activations quantised as they come."""
    from ai_edge_quantizer import quantizer, recipe

    _write(source, folder, quantizer.Quantizer(source, recipe.dynamic_wi8_afp32()).quantize())


def static(source: Path, items: Items, folder: Path) -> None:
    """Weights and activations of a TensorFlow Lite model in 8 bits, ranges from the items."""
    from ai_edge_quantizer import quantizer, recipe

    quantised = quantizer.Quantizer(source, recipe.static_wi8_ai8())
    _write(source, folder, quantised.quantize(quantised.calibrate({SERVED: items})))


def _write(source: Path, folder: Path, result: object) -> None:
    from heterosis.engines import ENGINES

    result.export_model(str(folder / MADE), overwrite=True)  # type: ignore[attr-defined]
    session = ENGINES["litert"].load(source, threads=1)
    name(folder / MADE, session.inputs, session.outputs)


def _calibration(items: Items, folder: Path) -> list[str]:
    """Write the items as onnx2tf reads them, one file for each input, and return the arguments that name them."""
    shapes = {tuple(array.shape for array in item.values()) for item in items}
    most = max(shapes, key=lambda shape: sum(tuple(a.shape for a in item.values()) == shape for item in items))
    alike = [item for item in items if tuple(array.shape for array in item.values()) == most]
    arguments = ["-oiqt"]
    for number, key in enumerate(alike[0]):
        path = folder / f"items-{number}.npy"
        np.save(path, np.concatenate([item[key] for item in alike]))
        arguments += ["-cind", key, str(path), "0", "1"]
    return arguments


def _convert(source: Path, folder: Path, arguments: Sequence[str], kind: str) -> None:
    from heterosis.engines import ENGINES

    session = ENGINES["onnxruntime"].load(source, threads=1)
    program = shutil.which("onnx2tf")
    if program is None:
        raise Unsuited(f"onnx2tf is not on the PATH; {ONNX2TF['onnx2tf']}")
    out = folder / "tf"
    # It looks for these pictures on the internet where its folder has none; they are for its own trial runs.
    np.save(folder / "calibration_image_sample_data_20x128x128x3_float32.npy", np.zeros((20, 128, 128, 3), np.float32))
    names = [spec.name for spec in session.inputs]
    said = subprocess.run(  # noqa: S603
        [program, "-i", str(source), "-o", str(out), "-n", "-kat", *names, "-coion", "-osd", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = list(out.glob(f"*_{kind}.tflite"))
    if not kind.startswith("full"):
        found = [path for path in found if not path.stem.endswith(f"full_{kind}")]
    if said.returncode or len(found) != 1:
        words = (said.stderr or said.stdout).strip()[-_LAST_WORDS:]
        raise Unsuited(f"onnx2tf ended with status {said.returncode} and made no {kind} model: {words}")
    shutil.move(found[0], folder / MADE)
    name(folder / MADE, session.inputs, session.outputs)
    shutil.rmtree(out)


def name(path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Give a TensorFlow Lite model one signature, of these names, in its own order of inputs and outputs."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SERVED.encode(), 0
    for side, specs, tensors in (("inputs", inputs, graph.inputs), ("outputs", outputs, graph.outputs)):
        maps = []
        for spec, tensor in zip(specs, tensors, strict=True):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = spec.name.encode(), int(tensor)
            maps.append(entry)
            if -1 in spec.shape:
                graph.tensors[tensor].shapeSignature = list(spec.shape)
        setattr(signature, side, maps)
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
