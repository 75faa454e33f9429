"""Makes the variants of a pipeline, and keeps those that work and are accurate enough."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.tracing import Trace
from heterosis.terms import Exclusion, Variant, VariantSet
from heterosis.terms.errors import StageError, UsageError
from heterosis.variants.accuracy import Judge, Verdict
from heterosis.variants.building import REFUSAL, Task, build_all, files_of, save_items
from heterosis.variants.candidates import StageModel, function_variant
from heterosis.variants.intervals import change_interval, mean_interval
from heterosis.variants.recipes import RECIPES
from heterosis.variants.store import sweep

Progress = Callable[[str, int, int], object]
"""Called with what is being done, how many steps are done, and of how many."""

UNTRIED = "no sample of the pipeline calls this stage, so its accuracy is unknown: add a sample that does"

EVERY_STAGE = "every stage"
"""Stands for a stage in what holds for all of them."""

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
        making.make()
    finally:
        making.judge.close()
    outcomes = [making.outcomes[place] for place in making.places]
    kept = [msgspec.structs.replace(variant, accuracy=accuracy) for variant in functions]
    kept += [outcome for outcome in outcomes if isinstance(outcome, Variant)]
    order = [stage.name for stage in pipeline.stages]
    return VariantSet(
        pipeline=pipeline.name,
        variants=tuple(sorted(kept, key=lambda variant: order.index(variant.stage))),
        excluded=(*(outcome for outcome in outcomes if isinstance(outcome, Exclusion)), *_absent(models)),
        reference_accuracy=accuracy,
    )


class _Making:
    """The steps of `make_variants`, in order; ``outcomes`` fills with what became of each place, None for nothing."""

    def __init__(self, models: Sequence[StageModel], judge: Judge, floor: float, progress: Progress) -> None:
        self.judge = judge
        self.places: list[Place] = [(model, recipe) for model in models for recipe in model.recipes]
        self.outcomes: dict[Place, Variant | Exclusion | None] = {}
        self._floor = floor
        self._progress = progress
        self._planned: dict[Place, list[Variant]] = {}
        self._too_inaccurate: set[Place] = set()

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
            if recipe != model.as_it_is:
                continue
            if model.calls or model.original == self.judge.references[model.stage.name]:
                self._judge((model, recipe), [model.original])
            else:
                self._exclude((model, recipe), UNTRIED)

    def make(self) -> None:
        """Make and judge all variants of the models that are accurate enough as they are."""
        conditional = [place for place in self.places if RECIPES[place[1]].instead_of]
        for place in self.places:
            if place not in self.outcomes and place not in conditional:
                self._plan(place)
        self._build()
        self._judge_built()
        for model, recipe in conditional:
            if (model, RECIPES[recipe].instead_of) in self._too_inaccurate:
                self._plan((model, recipe))
            else:
                self.outcomes[model, recipe] = None
        self._build()
        self._judge_built()

    def _build(self) -> None:
        """Build what is planned and not in the store."""
        missing = {
            place: folder
            for place, folder in ((place, _folder(variants)) for place, variants in self._planned.items())
            if place not in self.outcomes and RECIPES[place[1]].make and not folder.exists()
        }
        if not missing:
            return
        with tempfile.TemporaryDirectory(prefix="heterosis-") as scratch:
            items: dict[StageModel, str] = {}
            tasks = {}
            for (model, recipe), folder in missing.items():
                calibrated = RECIPES[recipe].calibrated
                if calibrated and model not in items:
                    items[model] = str(save_items(Path(scratch) / f"{len(items)}.npz", model.items))
                tasks[model, recipe] = Task(
                    recipe=recipe,
                    source=str(model.source.path),
                    items=items[model] if calibrated else "",
                    folder=str(folder),
                )
            self._now(f"converting models, {len(tasks)} to go")
            failed = build_all(list(tasks.values()), lambda left: self._now(f"converting models, {left} to go"))
        for place, task in tasks.items():
            if task.folder in failed:
                self._exclude(place, failed[task.folder])

    def _judge_built(self) -> None:
        """Judge what was built, now or before."""
        for place, variants in self._planned.items():
            if place in self.outcomes:
                continue
            refusal = _folder(variants) / REFUSAL
            if RECIPES[place[1]].make and refusal.exists():
                self._exclude(place, refusal.read_text())
            else:
                self._judge(place, [_sized(each) for each in variants if Path(each.artifact).exists()])

    def _plan(self, place: Place) -> None:
        model, recipe = place
        original = self.outcomes[model, model.as_it_is]
        if not model.calls:
            self._exclude(place, UNTRIED)
        elif isinstance(original, Exclusion):
            self._exclude(place, f"not made, since {original.name} is excluded: {original.reason}")
        else:
            try:
                self._planned[place] = model.variants(recipe)
            except StageError as error:
                self._exclude(place, f"no inputs to calibrate with: {error}")

    def _judge(self, place: Place, alternatives: Sequence[Variant]) -> None:
        """Keep the best of the alternatives: the first that is as good as need be, or the most accurate."""
        enough = self._floor if RECIPES[place[1]].instead_of else self.judge.verdict({}).accuracy
        best: tuple[Variant, Verdict] | None = None
        reason = "its conversion made nothing"
        for variant in alternatives:
            self._now(f"judging {variant.stage} {variant.name}{variant.note and f', {variant.note}'}")
            verdict = self.judge.verdict({variant.stage: variant})
            if verdict.reason:
                reason = verdict.reason
            elif best is None or (verdict.accuracy or 0.0) > (best[1].accuracy or 0.0):
                best = variant, verdict
                if verdict.accuracy is None or enough is None or verdict.accuracy >= enough:
                    break
        if best is None:
            self._exclude(place, reason)
            return
        variant, verdict = best
        if verdict.accuracy is not None and verdict.accuracy < self._floor:
            self._too_inaccurate.add(place)
            self._exclude(place, f"the pipeline's accuracy is {verdict.accuracy:.3f} with it, less than {self._floor}")
        else:
            self.outcomes[place] = msgspec.structs.replace(
                variant,
                accuracy=verdict.accuracy,
                accuracy_interval=mean_interval(verdict.samples),
                accuracy_change=change_interval(verdict.samples, self.judge.verdict({}).samples),
                scores=verdict.stages.get(variant.stage, {}),
            )

    def _exclude(self, place: Place, reason: str) -> None:
        model, recipe = place
        self.outcomes[place] = Exclusion(stage=model.stage.name, name=model.name(recipe), reason=reason)

    def _now(self, what: str) -> None:
        self._progress(what, len(self.outcomes), len(self.places))


def _folder(alternatives: Sequence[Variant]) -> Path:
    return Path(alternatives[0].artifact).parent


def _sized(variant: Variant) -> Variant:
    files = files_of(Path(variant.artifact))
    size = sum(file.stat().st_size for file in files if file.exists())
    return msgspec.structs.replace(variant, size_bytes=size)


def _absent(models: Sequence[StageModel]) -> list[Exclusion]:
    """Say once of each recipe that would do for a model what this machine lacks for it."""
    suffixes = {model.source.path.suffix for model in models}
    found = []
    for name, recipe in RECIPES.items():
        reason = recipe.lacking() if suffixes & set(recipe.sources) else ""
        if reason:
            found.append(Exclusion(stage=EVERY_STAGE, name=name, reason=reason))
    return found
