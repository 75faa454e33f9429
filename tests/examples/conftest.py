"""The siblings of a pipeline file are found beside it, as heterosis finds them when it loads the file."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import heterosis as hs
from heterosis.engines import ENGINES
from heterosis.pipeline import LocalCaller, StageRunner, calls_run_by

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "ocr"))

Run = Callable[..., tuple[Any, list[str]]]


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the examples."""
    return EXAMPLES


@pytest.fixture(scope="session")
def ocr() -> hs.Pipeline:
    """The OCR pipeline."""
    return hs.load_pipeline(EXAMPLES / "ocr" / "pipeline.py")


@pytest.fixture(scope="session")
def triage() -> hs.Pipeline:
    """The triage pipeline."""
    return hs.load_pipeline(EXAMPLES / "triage" / "pipeline.py")


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a pipeline with the models named, the reference where none is: its result and the stages called."""
    runners: dict[tuple[str, str, str], StageRunner] = {}

    def runner(pipeline: hs.Pipeline, stage: hs.Stage, model: str) -> StageRunner:
        key = (pipeline.name, stage.name, model)
        if key not in runners:
            runners[key] = StageRunner(stage, model, ENGINES["onnxruntime"].load(stage.artifact(model), 1))
        return runners[key]

    def run(pipeline: hs.Pipeline, inputs: Mapping[str, Any], **models: str) -> tuple[Any, list[str]]:
        chosen = {stage.name: models.get(stage.name, next(iter(stage.models), "")) for stage in pipeline.stages}
        caller = LocalCaller(
            {stage.name: runner(pipeline, stage, chosen[stage.name]) for stage in pipeline.stages if stage.models}
        )
        with calls_run_by(caller):
            result = asyncio.run(pipeline.function(**pipeline.signature.load(inputs)))
        return result, [call.stage for call in caller.calls]

    return run
