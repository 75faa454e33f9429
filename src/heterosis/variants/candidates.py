"""What could be made of each of a stage's models, before any of it is made."""

import functools
from collections.abc import Sequence
from pathlib import Path

import msgspec

from heterosis.pipeline.function import Pipeline
from heterosis.pipeline.runner import Args
from heterosis.pipeline.stage import FUNCTION, Stage
from heterosis.terms import Variant
from heterosis.variants.calibrating import calibration_items
from heterosis.variants.digests import cpu, digest, source_digest
from heterosis.variants.recipe import Items
from heterosis.variants.recipes import RECIPES, as_it_is
from heterosis.variants.sources import read_source


class StageModel:
    """One of the models of a stage, with the traced calls of the stage."""

    def __init__(self, stage: Stage, model: str, calls: Sequence[Args], store: Path) -> None:
        """Read the model."""
        self.stage = stage
        self.model = model
        self.calls = calls
        self.source = read_source(stage.artifact(model))
        suffix = self.source.path.suffix
        self.as_it_is = as_it_is(suffix)
        self.recipes = [
            name
            for name, recipe in RECIPES.items()
            if suffix in recipe.sources
            and (not recipe.precision or self.source.precision == "fp32")
            and (name == self.as_it_is or not recipe.lacking())
        ]
        """What can be made of it here: of a model that was reduced by its author, no other precision."""
        self._store = store

    @functools.cached_property
    def items(self) -> Items:
        """What the model gets, to calibrate with."""
        return calibration_items(self.stage, self.model, self.source.inputs, self.calls)

    @property
    def original(self) -> Variant:
        """The model as its author made it."""
        (variant,) = self.variants(self.as_it_is)
        return variant

    def variants(self, recipe: str) -> list[Variant]:
        """What a recipe would make of it: alternatives of one variant."""
        how = RECIPES[recipe]
        made_of: list[object] = [self.source.digest, recipe, how.version, how.made_with()]
        if how.make:
            made_of.append(cpu())
        if how.calibrated:
            made_of.append(digest(self.items))
        found_by = digest(made_of)
        plain = Variant(
            stage=self.stage.name,
            model=self.model,
            engine=how.engine,
            precision=how.precision or self.source.precision,
            artifact=str(self.source.path),
            digest=found_by,
            size_bytes=self.source.size_bytes,
        )
        if not how.make:
            return [plain]
        folder = self._store / "variants" / found_by
        return [
            msgspec.structs.replace(
                plain,
                artifact=str(folder / file),
                digest=found_by if len(how.artifacts) == 1 else digest(found_by, file),
                size_bytes=0,
                note=told,
            )
            for file, told in how.artifacts.items()
        ]

    def name(self, recipe: str) -> str:
        """The name of the variant that a recipe makes of it."""
        how = RECIPES[recipe]
        return f"{self.model}/{how.engine}-{how.precision or self.source.precision}"


def function_variant(pipeline: Pipeline, stage: Stage) -> Variant:
    """The one variant of a stage without models: its own code."""
    found_by = digest(stage.name, source_digest(pipeline))
    return Variant(stage=stage.name, model=FUNCTION, engine=FUNCTION, precision="any", artifact="", digest=found_by)
