"""Variants for AMD's DPUs: quantised by Quark as they want it, and compiled by Vitis AI into an ``.xmodel``.

A DPU multiplies 8-bit integers and scales by powers of two only: Quark's configuration XINT8, its ranges those with the
least squared error. It takes inputs of one shape, so lengths that vary cannot be served. Which DPU it is compiled for
stands in its ``arch.json``: a board's bitstream decides (DPUCZDX8G on ZCU104 and KV260, DPUCAHX8H on U280, in
/opt/vitis_ai/compiler/arch of Vitis AI's image).

Quantising is tested with Quark where it is installed; the compiler with a stand-in, since no machine of ours has it.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from heterosis.engines.vitis_ai import Ports
from heterosis.terms import DYNAMIC
from heterosis.variants.onnx_int8 import Reader, recent
from heterosis.variants.recipe import Items, Unsuited

ARCH = "VITIS_AI_ARCH"
FILES = {ARCH: "the arch.json of the DPU, see /opt/vitis_ai/compiler/arch in Vitis AI's image"}
COMPILER = {"vai_c_xir": "it is part of Vitis AI's image (https://xilinx.github.io/Vitis-AI)"}
MADE = "model.xmodel"


def xmodel(source: Path, items: Items, folder: Path) -> None:
    """Quantise for a DPU, compile for that of ``VITIS_AI_ARCH``, and write down what the model takes and gives."""
    ports = _fix_shapes(source, items, folder / "fixed.onnx")
    quantise(folder / "fixed.onnx", items, folder / "quantised.onnx")
    arguments = ["-x", str(folder / "quantised.onnx"), "-a", os.environ[ARCH], "-o", str(folder), "-n", "model"]
    said = subprocess.run(  # noqa: S603
        [shutil.which("vai_c_xir") or "vai_c_xir", *arguments], capture_output=True, text=True, check=False
    )
    if not (folder / MADE).exists():  # its status is 0 even where it failed
        raise Unsuited(f"vai_c_xir ended with status {said.returncode}: {(said.stdout + said.stderr).strip()[-300:]}")
    Ports.beside(folder / MADE).write_bytes(msgspec.json.encode(ports))


def quantise(source: Path, items: Items, made: Path) -> None:
    """Write a QDQ model of symmetric 8-bit weights and activations, all scales powers of two."""
    from quark.onnx import XINT8_QCONFIG, ModelQuantizer

    source, made = source.resolve(), made.resolve()
    with contextlib.chdir(made.parent):  # where it leaves a report
        ModelQuantizer(XINT8_QCONFIG).quantize_model(str(source), str(made), Reader(items))


def _fix_shapes(source: Path, items: Items, made: Path) -> Ports:
    """Write the model for batches of one of the items' shape; return what it takes and gives in batches of any size."""
    import onnx
    from onnxruntime.tools.onnx_model_utils import make_input_shape_fixed

    from heterosis.engines import ENGINES

    session = ENGINES["onnxruntime"].load(source, threads=1)
    model = recent(source)
    inputs = []
    for spec in session.inputs:
        shapes = {item[spec.name].shape for item in items}
        if len(shapes) > 1:
            raise Unsuited(f"a DPU takes inputs of one shape, and {spec.name!r} has {len(shapes)} in the samples")
        (shape,) = shapes
        make_input_shape_fixed(model.graph, spec.name, list(shape))
        inputs.append(msgspec.structs.replace(spec, shape=_any_batch(shape)))
    outputs = [msgspec.structs.replace(spec, shape=_any_batch(spec.shape)) for spec in session.outputs]
    session.close()
    onnx.save(model, made)
    return Ports(inputs=tuple(inputs), outputs=tuple(outputs))


def _any_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (DYNAMIC, *shape[1:])
