"""Makes the variants of a pipeline, and keeps those that work and are accurate enough."""

import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import msgspec

from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.tracing import Trace
from heterosis.terms import Exclusion, Variant, VariantSet
from heterosis.terms.errors import StageError, UsageError
from heterosis.variants.accuracy import Judge
from heterosis.variants.building import REFUSAL, Task, build_all, save_items
from heterosis.variants.candidates import StageModel, function_variant
from heterosis.variants.recipes import AS_IT_IS, RECIPES
from heterosis.variants.store import sweep

Progress = Callable[[str, int, int], object]
"""Called with what is being done, how many steps are done, and of how many."""

UNTRIED = "no sample of the pipeline calls this stage, so its accuracy is unknown: add a sample that does"

Place = tuple[StageModel, str]
"""One of a stage's models, and a recipe."""


def make_variants(
    pipeline: Pipeline,
    trace: Trace,
    store: Path,
    *,
    progress: Progress = lambda *_: None,
    min_accuracy: float | None = None,
) -> VariantSet:
    """Make every variant of every stage's models, judge each, and keep those that are of use.

    ``trace`` gives the calls to calibrate with. A variant that cannot be made or run, or with which the pipeline is
    less accurate than ``min_accuracy`` (by default the SLO's), is kept out, with the reason. Artifacts and verdicts lie
    in ``store``, found by the digest of all that they depend on, so that the next time takes a moment.

    Raise UsageError where the pipeline fails, or is not accurate enough, with its reference models. Not for use inside
    a running event loop.
    """
    store = store.resolve()
    sweep(store / "variants")
    sweep(store / "accuracy")
    models = [
        StageModel(stage, model, trace.inputs.get(stage.name, ()), store)
        for stage in pipeline.stages
        for model in stage.models
    ]
    functions = [function_variant(pipeline, stage) for stage in pipeline.stages if not stage.models]
    references = {variant.stage: variant for variant in (*functions, *(model.original for model in reversed(models)))}
    floor = pipeline.slo.min_accuracy if min_accuracy is None else min_accuracy
    making = _Making(models, Judge(pipeline, references, store), floor or 0.0, progress)
    try:
        accuracy = making.judge_references(pipeline)
        making.judge_originals()
        making.build()
        making.judge_built()
    finally:
        making.judge.close()
    outcomes = [making.outcomes[place] for place in making.places]
    kept = [msgspec.structs.replace(variant, accuracy=accuracy) for variant in functions]
    kept += [outcome for outcome in outcomes if isinstance(outcome, Variant)]
    order = [stage.name for stage in pipeline.stages]
    return VariantSet(
        pipeline=pipeline.name,
        variants=tuple(sorted(kept, key=lambda variant: order.index(variant.stage))),
        excluded=tuple(outcome for outcome in outcomes if isinstance(outcome, Exclusion)),
        reference_accuracy=accuracy,
    )


class _Making:
    """The steps of `make_variants`, in order; ``outcomes`` fills with what became of each place."""

    def __init__(self, models: Sequence[StageModel], judge: Judge, floor: float, progress: Progress) -> None:
        self.judge = judge
        self.places: list[Place] = [(model, recipe) for model in models for recipe in model.recipes]
        self.outcomes: dict[Place, Variant | Exclusion] = {}
        self._floor = floor
        self._progress = progress
        self._planned: dict[Place, Variant] = {}

    def judge_references(self, pipeline: Pipeline) -> float | None:
        """Run the pipeline as it is written."""
        self._now(f"judging {pipeline.name} with its reference models")
        verdict = self.judge.verdict({})
        if verdict.reason:
            raise UsageError(f"pipeline {pipeline.name!r} fails with its reference models: {verdict.reason}")
        if verdict.accuracy is not None and verdict.accuracy < self._floor:
            raise UsageError(
                f"pipeline {pipeline.name!r} has an accuracy of {verdict.accuracy:.3f} with its reference models, less "
                f"than the {self._floor} that it must have: lower min_accuracy, or give it better models"
            )
        return verdict.accuracy

    def judge_originals(self) -> None:
        """Judge each model as its author made it."""
        for model, recipe in self.places:
            if recipe != AS_IT_IS:
                continue
            if model.calls or model.original == self.judge.references[model.stage.name]:
                self._judge((model, recipe), model.original)
            else:
                self._exclude((model, recipe), UNTRIED)

    def build(self) -> None:
        """Build what is not in the store, of the models that are accurate enough as they are."""
        for place in self.places:
            if place not in self.outcomes:
                self._plan(place)
        missing = {place: v for place, v in self._planned.items() if not Path(v.artifact).parent.exists()}
        with tempfile.TemporaryDirectory(prefix="heterosis-") as scratch:
            items: dict[StageModel, str] = {}
            tasks = {}
            for (model, recipe), variant in missing.items():
                calibrated = RECIPES[recipe].calibrated
                if calibrated and model not in items:
                    items[model] = str(save_items(Path(scratch) / f"{len(items)}.npz", model.items))
                tasks[model, recipe] = Task(
                    recipe=recipe,
                    source=str(model.source.path),
                    items=items[model] if calibrated else "",
                    folder=str(Path(variant.artifact).parent),
                )
            self._now(f"converting models, {len(tasks)} to go")
            failed = build_all(list(tasks.values()), lambda left: self._now(f"converting models, {left} to go"))
        for place, task in tasks.items():
            if task.folder in failed:
                self._exclude(place, failed[task.folder])

    def judge_built(self) -> None:
        """Judge what was built, now or before."""
        for place, variant in self._planned.items():
            if place not in self.outcomes:
                artifact = Path(variant.artifact)
                refusal = artifact.with_name(REFUSAL)
                if refusal.exists():
                    self._exclude(place, refusal.read_text())
                else:
                    size = sum(file.stat().st_size for file in artifact.parent.iterdir())
                    self._judge(place, msgspec.structs.replace(variant, size_bytes=size))

    def _plan(self, place: Place) -> None:
        model, recipe = place
        original = self.outcomes[model, AS_IT_IS]
        if not model.calls:
            self._exclude(place, UNTRIED)
        elif isinstance(original, Exclusion):
            self._exclude(place, f"not made, since {original.name} is excluded: {original.reason}")
        else:
            try:
                self._planned[place] = model.variant(recipe)
            except PackageNotFoundError as error:
                self._exclude(place, f"{error.name} is not installed; pip install heterosis[{error.name}]")
            except StageError as error:
                self._exclude(place, f"no inputs to calibrate with: {error}")

    def _judge(self, place: Place, variant: Variant) -> None:
        self._now(f"judging {variant.stage} {variant.name}")
        verdict = self.judge.verdict({variant.stage: variant})
        if verdict.reason:
            self._exclude(place, verdict.reason)
        elif verdict.accuracy is not None and verdict.accuracy < self._floor:
            self._exclude(place, f"the pipeline's accuracy is {verdict.accuracy:.3f} with it, less than {self._floor}")
        else:
            self.outcomes[place] = msgspec.structs.replace(variant, accuracy=verdict.accuracy)

    def _exclude(self, place: Place, reason: str) -> None:
        model, recipe = place
        self.outcomes[place] = Exclusion(stage=model.stage.name, name=model.name(recipe), reason=reason)

    def _now(self, what: str) -> None:
        self._progress(what, len(self.outcomes), len(self.places))
