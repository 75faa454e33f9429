"""Opening a variant: from what a plan says to something that runs batches."""

from pathlib import Path

from heterosis.engines import ENGINES
from heterosis.pipeline.runner import StageRunner
from heterosis.pipeline.stage import FUNCTION, Stage
from heterosis.terms import Variant
from heterosis.terms.errors import EngineError


def open_runner(stage: Stage, variant: Variant, threads: int) -> StageRunner:
    """Load a variant of a stage for so many threads (0: the engine's own default), its hooks beside it.

    Raise EngineError where the engine is unknown, missing, or refuses the artifact.
    """
    if variant.engine == FUNCTION:
        return stage.runner(FUNCTION)
    if variant.engine not in ENGINES:
        raise EngineError(
            f"stage {stage.name!r}: variant {variant.name!r} needs the engine {variant.engine!r}; "
            f"there are: {', '.join(ENGINES)}"
        )
    session = ENGINES[variant.engine].load(Path(variant.artifact), threads)
    try:
        return stage.runner(variant.model, session)
    except BaseException:  # whatever the stage's setup() raises
        session.close()
        raise
