"""Opening a variant: its session, with the stage's hooks beside it."""

from pathlib import Path

from heterosis.engines import ENGINES
from heterosis.pipeline import FUNCTION, Stage, StageRunner
from heterosis.terms import Variant


def open_runner(stage: Stage, variant: Variant, threads: int) -> StageRunner:
    """Load a variant of a stage for so many threads."""
    if variant.engine == FUNCTION:
        return StageRunner(stage, FUNCTION)
    return StageRunner(stage, variant.model, ENGINES[variant.engine].load(Path(variant.artifact), threads))
