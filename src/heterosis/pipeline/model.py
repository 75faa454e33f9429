"""A plain model file as a pipeline: one stage, tensors in, tensors out, no code.

What it takes and gives is read from the file. Its SLO is generous, since the file promises nothing, and its samples are
drawn at random (`synthetic`), since it has none.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from heterosis.engines import ENGINE_OF
from heterosis.engines.engine import Session
from heterosis.pipeline.edges import Edge, TensorEdge, TextEdge
from heterosis.pipeline.function import Pipeline, Sample
from heterosis.pipeline.runner import StageRunner
from heterosis.pipeline.signature import Signature
from heterosis.pipeline.stage import Stage
from heterosis.pipeline.tensors import TensorRunner
from heterosis.terms import DYNAMIC, Slo, TensorSpec
from heterosis.terms.errors import UsageError

STAGE = "model"
SLO = Slo(latency_ms=1000.0)
LENGTHS = (1, 16, 64, 224)
"""What is tried for lengths that a model leaves open, until it runs."""
SAMPLES = 4
SEED = 1

Specs = Sequence[TensorSpec]
Array = np.ndarray[Any, Any]


def is_model(path: Path) -> bool:
    """Whether a file is one that can be served without code."""
    return path.suffix in ENGINE_OF


class File:
    """What `Stage` and its tools want to know of the code of a stage; a model file has none of its own."""

    def before(self, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give the tensors of one item."""
        return {name: array[0] for name, array in values.items()}

    def after(self, outputs: Any, values: Mapping[str, Array]) -> Any:  # noqa: ARG002 - a hook takes the arguments too
        """Take the outputs as they are."""
        return outputs


class ModelStage(Stage):
    """The stage of a plain model: a call has one argument, a tensor for each input, and gives one for each output."""

    def __init__(self, path: Path) -> None:
        """Know the file."""
        self.implementation = File
        self.name = STAGE
        self.models = {path.stem: path.name}
        self.folder = path.parent

    def runner(self, model: str, session: Session | None = None) -> StageRunner:
        """See `Stage.runner`."""
        return TensorRunner(self, model, session)


class ModelPipeline(Pipeline):
    """A plain model. What is not given is found out from the file when it is first asked for."""

    def __init__(
        self,
        path: Path,
        name: str,
        specs: tuple[Specs, Specs] | None = None,
        *,
        slo: Slo = SLO,
        batched: bool | None = None,
    ) -> None:
        """Know the file; ``specs`` are the inputs and outputs, and whether it is ``batched``, where that is known."""
        stage = ModelStage(path)

        async def run(**values: Array) -> Any:
            return await stage(values)

        super().__init__(run, slo, stages=(stage,))
        self.direct = stage
        self.name = name
        self.path = path
        self._specs = specs
        self._batched = batched

    def size(self, values: Mapping[str, Any]) -> int:
        """How many rows a request has, where those are items."""
        return rows_of(values) if self.batched else 1

    def divisible(self, values: Mapping[str, Any]) -> bool:
        """Whether a request's rows are items, and every tensor has one for each."""
        return self.batched and len({array.shape[:1] for array in values.values()}) == 1

    @functools.cached_property
    def specs(self) -> tuple[Specs, Specs]:
        """Its inputs and outputs."""
        if self._specs is not None:
            return self._specs
        session = open_session(self.path)
        try:
            return session.inputs, session.outputs
        finally:
            session.close()

    @functools.cached_property
    def signature(self) -> Signature:
        """Its inputs and outputs as clients see them."""
        inputs, outputs = self.specs
        return Signature(inputs=tuple(map(_edge, inputs)), outputs=tuple(map(_edge, outputs)), apart=True)

    def load_samples(self) -> tuple[Sample, ...]:
        """Random tensors that it can run."""
        return self._drawn

    @functools.cached_property
    def _drawn(self) -> tuple[Sample, ...]:
        random = np.random.default_rng(SEED)
        return tuple(Sample(synthetic(self.specs[0], 1, self._seen.length, random)) for _ in range(SAMPLES))

    @property
    def batched(self) -> bool:
        """See `Pipeline.batched`."""
        return self._seen.batched if self._batched is None else self._batched

    @functools.cached_property
    def _seen(self) -> "_Seen":
        session = open_session(self.path)
        try:
            length = fitting_length(session)
            runner, random = TensorRunner(self.stages[0], self.path.stem, session), np.random.default_rng(SEED)
            if runner.joins is None:
                runner.run([(synthetic(session.inputs, 1, length, random),) for _ in range(2)])
            return _Seen(length, bool(runner.joins))
        finally:
            session.close()


class _Seen(NamedTuple):
    """What was found out by running a model."""

    length: int
    batched: bool


def open_session(path: Path, threads: int = 0) -> Session:
    """Load a model file as it is. Raise UsageError where nothing runs such a file, EngineError where loading fails."""
    from heterosis.engines import ENGINES

    if not is_model(path):
        raise UsageError(f"{path} is no model file; those can be served: {', '.join(ENGINE_OF)}")
    return ENGINES[ENGINE_OF[path.suffix]].load(path, threads)


def fitting_length(session: Session) -> int:
    """Return a length with which the model runs, for all that it leaves open. Raise UsageError where none does."""
    random = np.random.default_rng(SEED)
    if all(DYNAMIC not in spec.shape[1:] for spec in session.inputs):
        return 1
    error: Exception | None = None
    for length in LENGTHS:
        try:
            session.run(synthetic(session.inputs, 1, length, random))
        except Exception as failed:  # noqa: BLE001 - whatever it is, another length may do
            error = failed
        else:
            return length
    raise UsageError(f"cannot find lengths for the open axes of the model with which it runs: {error}") from error


# Quoted, for whoever looks at `np.random` has it loaded, with OpenSSL: 6 MB of every worker.
def synthetic(specs: Specs, rows: int, length: int, random: "np.random.Generator") -> dict[str, Array]:
    """Draw a tensor for each input: so many rows where the first axis is open, ``length`` for other open axes.

    Floats are normal, integers 0 or 1, which most models take for a token or a class, text is such a number.
    """
    drawn: dict[str, Array] = {}
    for spec in specs:
        first, *rest = spec.shape or (1,)
        shape = (rows if first == DYNAMIC else first, *(length if axis == DYNAMIC else axis for axis in rest))
        shape = shape if spec.shape else ()
        if spec.dtype in {"object", "bytes"}:
            drawn[spec.name] = random.integers(0, 2, shape).astype(str).astype(object)
        elif np.dtype(spec.dtype).kind == "f":
            drawn[spec.name] = random.standard_normal(shape).astype(spec.dtype)
        else:
            drawn[spec.name] = random.integers(0, 2, shape).astype(spec.dtype)
    return drawn


def _edge(spec: TensorSpec) -> Edge:
    if spec.dtype == "object":
        return TextEdge(spec=TensorSpec(name=spec.name, dtype="bytes", shape=spec.shape))
    return TensorEdge(spec=spec)


def rows_of(values: Mapping[str, Array]) -> int:
    """Rows of the first tensor; 1 where it has no axis."""
    array = next(iter(values.values()), None)
    return len(array) if array is not None and array.ndim else 1
