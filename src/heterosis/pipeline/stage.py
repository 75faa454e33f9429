"""Stages: the model steps of a pipeline."""

import importlib.util
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterosis.pipeline.calls import current_caller
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.engines.engine import Session
    from heterosis.pipeline.runner import StageRunner

FUNCTION = "function"
"""The one model of a stage that has none: its own ``run`` method."""


class Stage:
    """One step of a pipeline, made from a class by `stage`; awaiting a call of it runs it, wherever the caller says.

    The class has either ``run(*args)``, for work without a model, or

    - ``models``: ``{name: artifact}``, sizes of one task, the reference first. An artifact is the path of an ONNX file
      (or of TensorFlow Lite, OpenVINO's IR, or an exported program of PyTorch: `heterosis.engines.engine_of`), relative
      to the file of the class, or ``package:path`` for one inside an installed package, which is not imported;
    - ``before(*args)``: a call's arguments -> the model's input for one item, without a batch axis: an array, or
      ``{input name: array}``;
    - ``after(output, *args)``: the model's output for one item (an array, or ``{output name: array}``) -> the result;
    - optionally ``score(result, expected)``, a dict of measures (0..1) such as `heterosis.scores.detection`: what a
      variant's result is worth where the reference's result of the same call was ``expected``;
    - optionally ``setup(model)``, once per session, and ``collate(items)``, a list of inputs -> batched inputs. Without
      ``collate``, items are stacked, those of unlike shape in batches of their own.
    """

    def __init__(self, implementation: type[Any]) -> None:
        """Check the class, so that a mistake shows before anything runs."""
        self.implementation = implementation
        self.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", implementation.__name__).lower()
        self.models: Mapping[str, str] = getattr(implementation, "models", {})
        self.folder = Path(inspect.getfile(implementation)).resolve().parent
        needed = ("before", "after") if self.models else ("run",)
        missing = [hook for hook in needed if not callable(getattr(implementation, hook, None))]
        if missing:
            kind = "a stage with models" if self.models else "a stage without models"
            raise UsageError(f"stage {self.name!r}: {kind} needs the method {missing[0]}(); see heterosis.Stage")

    async def __call__(self, *args: Any) -> Any:
        """Run one call of the stage."""
        return await current_caller().call(self, args)

    def runner(self, model: str, session: "Session | None" = None) -> "StageRunner":
        """Return what runs batches of the stage on a session of one of its models."""
        from heterosis.pipeline.runner import StageRunner

        return StageRunner(self, model, session)

    def artifact(self, model: str) -> Path:
        """Find the file of one of the models."""
        where = self.models[model]
        package, _, inside = where.rpartition(":")
        if not package:
            path = self.folder / where
        else:
            spec = importlib.util.find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise UsageError(
                    f"stage {self.name!r}: model {model!r} lies in the package {package!r}, which is not installed"
                )
            path = Path(spec.submodule_search_locations[0]) / inside
        if not path.is_file():
            raise UsageError(f"stage {self.name!r}: model {model!r}: no file {path}")
        return path

    def __repr__(self) -> str:
        """Name the stage."""
        return f"<stage {self.name}>"


def stage(implementation: type[Any]) -> Stage:
    """Make a stage of a class; see `Stage` for what the class has."""
    return Stage(implementation)
