"""How accurate a pipeline is with given variants: end to end, on its samples."""

import asyncio
import copy
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.engines import Session, Tensors
from heterosis.pipeline.calls import calls_run_by
from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.opening import open_runner
from heterosis.pipeline.runner import Args, StageRunner
from heterosis.pipeline.stage import Stage
from heterosis.terms import Variant
from heterosis.terms.errors import HeterosisError, StageError
from heterosis.variants.digests import cpu, digest, source_digest
from heterosis.variants.store import new_folder

VERSION = 2
"""Changes with how accuracy is judged."""
FILE = "verdict.json"
MAX_SIDE_BY_SIDE = 4
"""Calls that run at once, each with sessions of its own, on an equal share of the cores."""

Key = tuple[str, str, str]
"""A variant: its stage, model and digest."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy (0..1) of a combination of variants; None where it cannot be used, with the reason."""

    accuracy: float | None
    reason: str = ""
    not_finite: tuple[str, ...] = ()
    """The stages whose model put NaN or infinity into an output."""
    samples: tuple[float, ...] = ()
    """The score of each sample; their mean is the accuracy."""
    stages: dict[str, dict[str, float]] = {}
    """What the ``score`` of each stage measured, where it has one; see `heterosis.Stage`."""


class Judge:
    """Judges combinations of variants, one for each stage, by the pipeline's own measure on its own samples.

    An answer is compared with the truth of its sample or, where that is not given, with the references' answer. What a
    variant made of a call is remembered, so that the next combination only runs what differs; verdicts lie in the store
    for the next time. Not for use inside a running event loop.
    """

    def __init__(self, pipeline: Pipeline, references: Mapping[str, Variant], store: Path) -> None:
        """Take the reference variant of each stage."""
        self.references = dict(references)
        self._pipeline = pipeline
        self._store = store / "accuracy"
        self._samples = [(pipeline.signature.load(sample.inputs), sample.truth) for sample in pipeline.load_samples()]
        self._situation = digest(VERSION, source_digest(pipeline), self._samples, cpu())
        self._caller = _RememberingCaller()

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
        self._caller.shut_down()

    def _judge(self, combination: Mapping[str, Variant]) -> Verdict:
        answers = asyncio.run(self._answers(combination))
        for number, answer in enumerate(answers, start=1):
            if isinstance(answer, Exception):
                said = str(answer) if isinstance(answer, HeterosisError) else f"{type(answer).__name__}: {answer}"
                return Verdict(accuracy=None, reason=f"sample {number} of {len(answers)}: {said}")
        truths = [truth for _, truth in self._samples]
        if any(truth is None for truth in truths):
            expected = asyncio.run(self._answers(self.references))
            truths = [known if truth is None else truth for truth, known in zip(truths, expected, strict=True)]
        scores = [self._pipeline.score(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
        odd = sorted(variant.stage for variant in combination.values() if _key(variant) in self._caller.not_finite)
        return Verdict(
            accuracy=sum(scores) / len(scores) if scores else None,
            not_finite=tuple(odd),
            samples=tuple(scores),
            stages=self._stage_scores(combination),
        )

    def _stage_scores(self, combination: Mapping[str, Variant]) -> dict[str, dict[str, float]]:
        """Score each stage that can, over the calls of which the references' result is known too."""
        found = {}
        for stage in self._pipeline.stages:
            variant, reference = combination[stage.name], self.references[stage.name]
            score = getattr(stage.implementation(), "score", None) if variant != reference else None
            if score is None:
                continue
            if not self._caller.has_run(reference):  # its verdict was in the store
                asyncio.run(self._answers(self.references))
            pairs = self._caller.pairs(variant, reference)
            measured = [score(result, expected) for result, expected in pairs]
            if measured:
                found[stage.name] = {name: sum(each[name] for each in measured) / len(measured) for name in measured[0]}
        return found

    async def _answers(self, combination: Mapping[str, Variant]) -> list[Any]:
        """Return what the pipeline makes of each sample: an answer, or an exception."""

        async def answer(inputs: Mapping[str, Any]) -> Any:
            return await self._pipeline.function(**copy.deepcopy(dict(inputs)))

        self._caller.combination = combination
        try:
            with calls_run_by(self._caller):
                return await asyncio.gather(*(answer(inputs) for inputs, _ in self._samples), return_exceptions=True)
        finally:
            self._caller.close(keep=map(_key, self.references.values()))


class _RememberingCaller:
    """Runs each call of a variant once, several calls side by side, and remembers the results."""

    def __init__(self) -> None:
        self.combination: Mapping[str, Variant] = {}
        self.not_finite: set[Key] = set()
        cores = len(os.sched_getaffinity(0))
        side_by_side = min(cores, MAX_SIDE_BY_SIDE)
        self._threads = cores // side_by_side
        self._pool = ThreadPoolExecutor(side_by_side)
        self._idle: dict[Key, list[StageRunner]] = defaultdict(list)
        self._results: dict[tuple[Key, str], Any] = {}

    async def call(self, stage: Stage, args: Args) -> Any:
        variant = self.combination[stage.name]
        call = _key(variant), digest(args)
        if call not in self._results:
            run = asyncio.get_running_loop().run_in_executor(self._pool, self._run, stage, variant, args)
            self._results[call] = await run
        result = self._results[call]
        if isinstance(result, StageError):
            raise result
        return copy.deepcopy(result)  # a pipeline may change what it gets

    def has_run(self, variant: Variant) -> bool:
        """Whether any call of a variant is remembered."""
        return any(key == _key(variant) for key, _ in self._results)

    def pairs(self, variant: Variant, reference: Variant) -> list[tuple[Any, Any]]:
        """Return what both made of each call that both have run."""
        both = [
            (result, self._results.get((_key(reference), call)))
            for (key, call), result in self._results.items()
            if key == _key(variant)
        ]
        return [pair for pair in both if pair[1] is not None and not any(isinstance(r, StageError) for r in pair)]

    def close(self, keep: Iterable[Key] = ()) -> None:
        """Close the sessions that are idle."""
        for key in self._idle.keys() - set(keep):
            for runner in self._idle.pop(key):
                runner.close()

    def shut_down(self) -> None:
        """Wait for the calls that run, and close every session."""
        self._pool.shutdown(cancel_futures=True)
        self.close()

    def _run(self, stage: Stage, variant: Variant, args: Args) -> Any:
        """Run a call on a runner that no other thread uses meanwhile."""
        key = _key(variant)
        try:
            runner = self._idle[key].pop()
        except IndexError:
            runner = open_runner(stage, variant, self._threads)
            if runner.session is not None:
                runner.session = _Watched(runner.session, lambda: self.not_finite.add(key))
        try:
            (result,) = runner.run([args])
        finally:
            self._idle[key].append(runner)
        return result


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
