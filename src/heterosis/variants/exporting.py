"""From models of PyTorch and Keras to ONNX, which most recipes start from; each with the exporter of its maker.

``python -m heterosis.variants.exporting model.keras model.onnx`` does it once and for all. Exported programs of PyTorch
(``.pt2``) may stand in a stage's ``models`` as they are: what needs ONNX is then made through here.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from heterosis.terms.errors import EngineError, HeterosisError, UsageError

OPSET = 17


def onnx_of(source: Path, folder: Path) -> Path:
    """Return a model as ONNX: itself, or exported into the folder. Raise EngineError where an exporter is missing."""
    if source.suffix == ".onnx":
        return source
    if source.suffix not in EXPORTERS:
        raise UsageError(f"{source}: nothing makes ONNX of such files; there are exporters for {', '.join(EXPORTERS)}")
    made = folder / "exported.onnx"
    EXPORTERS[source.suffix](source, made)
    return made


def _of_torch(source: Path, made: Path) -> None:
    try:
        import torch
    except ImportError as error:
        raise EngineError(f"PyTorch is not usable here ({error}); pip install heterosis[torch]") from error
    program = torch.export.load(str(source))
    torch.onnx.export(program, (), str(made), opset_version=OPSET, dynamo=True, external_data=False)


def _of_keras(source: Path, made: Path) -> None:
    try:
        import keras
    except ImportError as error:
        raise EngineError(f"Keras is not usable here ({error}); pip install heterosis[keras]") from error
    keras.saving.load_model(str(source)).export(str(made), format="onnx", opset_version=OPSET, verbose=False)


EXPORTERS: dict[str, Callable[[Path, Path], None]] = {".pt2": _of_torch, ".keras": _of_keras, ".h5": _of_keras}
"""By the suffix of a file. Keras' own exporter goes through tf2onnx or PyTorch, whichever it runs on."""


def main(arguments: list[str]) -> None:
    """Export one model."""
    if len(arguments) != 2:  # noqa: PLR2004
        sys.exit("usage: python -m heterosis.variants.exporting MODEL.keras|MODEL.h5|MODEL.pt2 MODEL.onnx")
    source, made = map(Path, arguments)
    if not source.is_file():
        sys.exit(f"no file {source}")
    try:
        onnx_of(source, made.parent).rename(made)
    except HeterosisError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
