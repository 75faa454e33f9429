"""Errors in the user's own code: said in one line, with the place."""

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heterosis.pipeline import Pipeline, load_pipeline
from heterosis.terms.errors import HeterosisError, UsageError

_NOT_THE_USERS = (
    Path(__file__).resolve().parent.parent,
    *(Path(folder).resolve() for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")}),
)


def load(target: str | Path) -> Pipeline:
    """Load a pipeline, its samples and its signature. Raise UsageError, with the place, where its file fails."""
    with user_code(f"cannot load {target}"):
        pipeline = load_pipeline(target)
    with user_code(f"the samples of pipeline {pipeline.name!r} cannot be made"):
        pipeline.load_samples()
    _ = pipeline.signature  # read now, so that a mistake in it shows before anything runs
    return pipeline


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turn what the user's code raises inside into a UsageError; our own errors pass."""
    try:
        yield
    except HeterosisError:
        raise
    except Exception as error:
        raise UsageError(f"{what}: {type(error).__name__}: {error}{where(error)}") from error


def where(error: BaseException) -> str:
    """Say in which line of the user's code an error arose; nothing where it arose elsewhere."""
    cause = error.__cause__ if isinstance(error, HeterosisError) and error.__cause__ else error
    if isinstance(cause, SyntaxError) and cause.filename:
        return f" ({cause.filename}, line {cause.lineno})"
    for frame in reversed(traceback.extract_tb(cause.__traceback__)):
        file = Path(frame.filename).resolve()
        if file.is_file() and not any(file.is_relative_to(folder) for folder in _NOT_THE_USERS):
            return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
    return ""
