"""How accurate a pipeline is with given variants: end to end, on its samples."""

import asyncio
import copy
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.engines import Session, Tensors
from heterosis.pipeline.calls import calls_run_by
from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.runner import Args, StageRunner
from heterosis.pipeline.stage import Stage
from heterosis.terms import Variant
from heterosis.terms.errors import StageError
from heterosis.variants.digests import cpu, digest, source_digest
from heterosis.variants.loading import open_runner
from heterosis.variants.store import new_folder

VERSION = 1
"""Changes with how accuracy is judged."""
FILE = "verdict.json"

Key = tuple[str, str, str]
"""A variant: its stage, model and digest."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy (0..1) of a combination of variants; None where it cannot be used, with the reason."""

    accuracy: float | None
    reason: str = ""
    not_finite: tuple[str, ...] = ()
    """The stages whose model put NaN or infinity into an output."""


class Judge:
    """Judges combinations of variants, one for each stage, by the pipeline's own measure on its own samples.

    An answer is compared with the truth of its sample or, where that is not given, with the references' answer. What a
    variant made of a call is remembered, so that the next combination only runs what differs; verdicts lie in the store
    for the next time. Not for use inside a running event loop.
    """

    def __init__(
        self, pipeline: Pipeline, references: Mapping[str, Variant], store: Path, threads: int | None = None
    ) -> None:
        """Take the reference variant of each stage; models run with so many threads, by default one for each core."""
        self.references = dict(references)
        self._pipeline = pipeline
        self._store = store / "accuracy"
        self._samples = [(pipeline.signature.load(sample.inputs), sample.truth) for sample in pipeline.load_samples()]
        self._situation = digest(VERSION, source_digest(pipeline), self._samples, cpu())
        self._caller = _RememberingCaller(self.references, threads or len(os.sched_getaffinity(0)))

    def verdict(self, chosen: Mapping[str, Variant]) -> Verdict:
        """Judge these variants in their stages, with the references in all others."""
        combination = {**self.references, **chosen}
        file = self._store / digest(self._situation, sorted(map(_key, combination.values()))) / FILE
        if not file.is_file():
            judged = self._judge(combination)
            with new_folder(file.parent) as folder:
                (folder / FILE).write_bytes(msgspec.json.encode(judged))
        verdict = msgspec.json.decode(file.read_bytes(), type=Verdict)
        if verdict.not_finite and combination != self.references:
            worse = sorted(set(verdict.not_finite) - set(self.verdict({}).not_finite))
            if worse:
                reason = f"the output of {', '.join(worse)} has NaN or infinity in it, the reference's has not"
                return Verdict(accuracy=None, reason=reason, not_finite=verdict.not_finite)
        return verdict

    def close(self) -> None:
        """Give the sessions' memory back."""
        self._caller.close()

    def _judge(self, combination: Mapping[str, Variant]) -> Verdict:
        answers: list[Any] = []
        try:
            for inputs, _ in self._samples:
                answers.append(self._answer(combination, inputs))
        except Exception as error:  # noqa: BLE001 - whatever the pipeline's code makes of a bad output
            said = str(error) if isinstance(error, StageError) else f"{type(error).__name__}: {error}"
            return Verdict(accuracy=None, reason=f"sample {len(answers) + 1} of {len(self._samples)}: {said}")
        finally:
            self._caller.close(keep=map(_key, self.references.values()))
        truths = [self._answer(self.references, inputs) if truth is None else truth for inputs, truth in self._samples]
        scores = [self._pipeline.score(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
        return Verdict(
            accuracy=sum(scores) / len(scores) if scores else None,
            not_finite=tuple(
                sorted(stage for stage, variant in combination.items() if _key(variant) in self._caller.not_finite)
            ),
        )

    def _answer(self, combination: Mapping[str, Variant], inputs: Mapping[str, Any]) -> Any:
        async def run() -> Any:
            with calls_run_by(self._caller):
                return await self._pipeline.function(**copy.deepcopy(dict(inputs)))

        self._caller.combination = combination
        return asyncio.run(run())


class _RememberingCaller:
    """Runs each call of a variant once, and remembers its result."""

    def __init__(self, combination: Mapping[str, Variant], threads: int) -> None:
        self.combination = combination
        self.not_finite: set[Key] = set()
        self._threads = threads
        self._results: dict[tuple[Key, str], Any] = {}
        self._runners: dict[Key, StageRunner] = {}

    async def call(self, stage: Stage, args: Args) -> Any:
        variant = self.combination[stage.name]
        call = _key(variant), digest(args)
        if call not in self._results:
            (self._results[call],) = self._runner(stage, variant).run([args])
        result = self._results[call]
        if isinstance(result, StageError):
            raise result
        return copy.deepcopy(result)  # a pipeline may change what it gets

    def close(self, keep: Iterable[Key] = ()) -> None:
        for key in self._runners.keys() - set(keep):
            self._runners.pop(key).close()

    def _runner(self, stage: Stage, variant: Variant) -> StageRunner:
        key = _key(variant)
        if key not in self._runners:
            runner = open_runner(stage, variant, self._threads)
            if runner.session is not None:
                runner.session = _Watched(runner.session, lambda: self.not_finite.add(key))
            self._runners[key] = runner
        return self._runners[key]


class _Watched:
    """A session that tells when an output is not finite."""

    def __init__(self, session: Session, tell: Callable[[], object]) -> None:
        self.inputs = session.inputs
        self.outputs = session.outputs
        self.close = session.close
        self._session = session
        self._tell = tell

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        outputs = self._session.run(inputs)
        if not all(np.isfinite(array).all() for array in outputs.values() if array.dtype.kind == "f"):
            self._tell()
        return outputs


def _key(variant: Variant) -> Key:
    return variant.stage, variant.model, variant.digest
