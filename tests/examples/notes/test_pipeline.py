"""The notes pipeline hears what was played, from either file of the model."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heterosis as hs
from heterosis.engines import engine_of
from heterosis.pipeline import StageRunner

Run = Callable[..., tuple[Any, list[str]]]

if importlib.util.find_spec("basic_pitch") is None:
    pytest.skip("basic-pitch, whose model this is, is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def notes(examples: Path) -> hs.Pipeline:
    """The notes pipeline."""
    return hs.load_pipeline(examples / "notes" / "pipeline.py")


@pytest.mark.parametrize("model", ["onnx", "tflite"])
def test_notes_are_heard(notes: hs.Pipeline, model: str) -> None:
    """Over all melodies both files reach the same F1, above 0.95."""
    (stage,) = notes.stages
    artifact = stage.artifact(model)
    runner = StageRunner(stage, model, engine_of(artifact).load(artifact, threads=1))
    samples = notes.load_samples()[:12]
    heard = runner.run([(sample.inputs["sound"],) for sample in samples])
    scores = [notes.score(result, sample.truth) for result, sample in zip(heard, samples, strict=True)]
    assert np.mean(scores) == pytest.approx(0.972, abs=0.01)


def test_silence_has_no_notes(notes: hs.Pipeline, run: Run) -> None:
    """Nothing is heard where nothing is played."""
    assert run(notes, {"sound": np.zeros(43844, np.float32)})[0] == []
