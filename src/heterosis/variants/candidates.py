"""What could be made of each of a stage's models, before any of it is made."""

import functools
from collections.abc import Sequence
from pathlib import Path

from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.runner import Args
from heterosis.pipeline.stage import FUNCTION, Stage
from heterosis.terms import Variant
from heterosis.variants.calibrating import calibration_items
from heterosis.variants.digests import cpu, digest, source_digest, versions
from heterosis.variants.recipe import Items
from heterosis.variants.recipes import AS_IT_IS, RECIPES
from heterosis.variants.sources import read_source


class StageModel:
    """One of the models of a stage, with the traced calls of the stage."""

    def __init__(self, stage: Stage, model: str, calls: Sequence[Args], store: Path) -> None:
        """Read the model."""
        self.stage = stage
        self.model = model
        self.calls = calls
        self.source = read_source(stage.artifact(model))
        self.recipes = [
            name for name, recipe in RECIPES.items() if not recipe.precision or self.source.precision == "fp32"
        ]
        """What can be made of it: of a model that was reduced by its author, no other precision."""
        self._store = store

    @functools.cached_property
    def items(self) -> Items:
        """What the model gets, to calibrate with."""
        return calibration_items(self.stage, self.model, self.source.inputs, self.calls)

    @property
    def original(self) -> Variant:
        """The model as its author made it."""
        return self.variant(AS_IT_IS)

    def variant(self, recipe: str) -> Variant:
        """What a recipe would make of it. Raise PackageNotFoundError where that takes what is not installed."""
        how = RECIPES[recipe]
        made_of: list[object] = [self.source.digest, recipe, how.version, versions(*how.packages)]
        if how.make:
            made_of.append(cpu())
        if how.calibrated:
            made_of.append(digest(self.items))
        found_by = digest(made_of)
        return Variant(
            stage=self.stage.name,
            model=self.model,
            engine=how.engine,
            precision=how.precision or self.source.precision,
            artifact=str(self._store / "variants" / found_by / how.artifact if how.make else self.source.path),
            digest=found_by,
            size_bytes=0 if how.make else self.source.size_bytes,
        )

    def name(self, recipe: str) -> str:
        """The name of the variant that a recipe makes of it."""
        how = RECIPES[recipe]
        return f"{self.model}/{how.engine}-{how.precision or self.source.precision}"


def function_variant(pipeline: Pipeline, stage: Stage) -> Variant:
    """The one variant of a stage without models: its own code."""
    found_by = digest(stage.name, source_digest(pipeline))
    return Variant(stage=stage.name, model=FUNCTION, engine=FUNCTION, precision="any", artifact="", digest=found_by)
