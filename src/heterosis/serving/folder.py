"""Plain model files as a source of models: one file, or a folder of them.

A folder holds files, ``NAME.onnx``, or is laid out as Triton's repositories are, ``NAME/VERSION/model.onnx``, or both.
Each is served as it is, on its own engine, by a plan made at a glance (`quick_plan`).
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from heterosis.engines import ENGINE_OF
from heterosis.pipeline.model import SLO, ModelPipeline, is_model
from heterosis.pipeline.probing import Question
from heterosis.serving.looks import look
from heterosis.serving.models import Servable
from heterosis.serving.quick_plan import quick_plan, warm_up
from heterosis.serving.repository import VERSION, order
from heterosis.terms import Fleet, Slo
from heterosis.terms.errors import UsageError

log = structlog.get_logger()

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
"""What a model may be called: its name stands in paths and addresses."""

BATCH_SHARE = 0.2
"""Of the SLO: what a batch may take."""


class ModelFolder:
    """A file or a folder of models."""

    def __init__(
        self,
        path: Path,
        fleet: Fleet,
        *,
        rate_rps: float = 1.0,
        slo: Slo | None = None,
        policy: str = "heterosis",
        store: Path | None = None,
    ) -> None:
        """Serve what lies at ``path`` on the first device of a fleet; keep in ``store`` what is found of the models.

        ``rate_rps`` and ``slo`` are each model's; a model without an SLO gets a generous one. Raise UsageError where
        there is no such file or folder, or it holds no model.
        """
        self._path = path
        self._fleet = fleet
        self._rate_rps = rate_rps
        self._slo = slo
        self._policy = policy
        self._store = store
        self._turns = itertools.count()
        if not path.exists():
            raise UsageError(f"no file or folder {path}")
        if not self._files():
            raise UsageError(
                f"{path} holds no model: give a file ({', '.join(ENGINE_OF)}), or a folder of such files, "
                "NAME.onnx or NAME/VERSION/model.onnx"
            )

    def listed(self) -> Mapping[str, Sequence[str]]:
        """See `Source.listed`."""
        return {name: tuple(versions) for name, versions in self._files().items()}

    async def open(self, name: str, version: str) -> Servable:
        """See `Source.open`."""
        path = self._files()[name][version]
        node, device = self._fleet.nodes[0], self._fleet.devices[0]
        most_ms = BATCH_SHARE * (self._slo or SLO).latency_ms
        found = await look(Question(path=str(path), cores=device.slots, most_ms=most_ms, answers=-1), self._store)
        if found.error:
            log.warning("model did not run on random tensors, so its times are not known", model=name, why=found.error)
        plan = quick_plan(
            name,
            path,
            found,
            node=node.name,
            device=device,
            first_core=next(self._turns),
            rate_rps=self._rate_rps,
            slo=self._slo,
            policy=self._policy,
        )
        return Servable(
            pipeline=ModelPipeline(path, name, (found.inputs, found.outputs), slo=plan.slo, batched=found.batched),
            target=str(path),
            plan=plan,
            warm_up=lambda placement, _: warm_up(found, placement.max_batch),
            platform=f"{ENGINE_OF[path.suffix]}_{path.suffix[1:]}",
        )

    def _files(self) -> dict[str, dict[str, Path]]:
        """Find the models: the file of each version, the newest last."""
        if self._path.is_file():
            return {self._path.stem: {VERSION: self._path}} if is_model(self._path) else {}
        found: dict[str, dict[str, Path]] = {}
        for path in sorted(self._path.iterdir()):
            if path.is_file() and is_model(path):
                found.setdefault(path.stem, {VERSION: path})
            elif path.is_dir():
                versions = {each.name: file for each in path.iterdir() if (file := _model_in(each))}
                if versions:
                    found[path.name] = dict(sorted(versions.items(), key=lambda item: order(item[0])))
        return {name: versions for name, versions in found.items() if NAME.fullmatch(name)}


def _model_in(folder: Path) -> Path | None:
    """The model file in the folder of a version."""
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.is_file() and is_model(path)), None)
