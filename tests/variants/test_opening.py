"""Opening variants."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import heterosis as hs
from heterosis.pipeline import Trace
from heterosis.pipeline.opening import open_runner
from heterosis.terms import VariantSet
from heterosis.terms.errors import EngineError

Made = tuple[Path, Path, Trace, VariantSet]


class Picky:
    """Cannot be set up."""

    models = {"only": "big.onnx"}  # noqa: RUF012

    def setup(self, model: str) -> None:
        """Fail."""
        raise ValueError(f"no alphabet for {model}")

    def before(self, tile: np.ndarray) -> np.ndarray:
        """Pass on."""
        return tile

    def after(self, scores: np.ndarray, tile: np.ndarray) -> int:  # noqa: ARG002
        """Choose."""
        return int(scores.argmax())


def test_a_function_stage_needs_no_engine(made: Made) -> None:
    """Its runner runs the stage's own code."""
    file, _, seen, variants = made
    (cut,) = (stage for stage in hs.load_pipeline(file).stages if stage.name == "cut")
    runner = open_runner(cut, variants.reference("cut"), threads=1)
    (tiles,) = runner.run(seen.inputs["cut"][:1])
    assert [tile.shape for tile in tiles] == [(3, 16, 16)] * 2


def test_an_unknown_engine_is_told_with_those_there_are(made: Made) -> None:
    """A plan may come from a newer version."""
    file, _, _, variants = made
    stage = next(stage for stage in hs.load_pipeline(file).stages if stage.name == "classify")
    strange = msgspec.structs.replace(variants.reference("classify"), engine="abacus")
    with pytest.raises(EngineError, match=r"needs the engine 'abacus'; there are: onnxruntime, .*emulated"):
        open_runner(stage, strange, threads=1)


def test_a_stage_that_cannot_be_set_up_keeps_no_session(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error comes through, and the loaded model is let go."""
    _, _, _, variants = made
    closed: list[bool] = []
    close: Callable[..., None] = lambda self: closed.append(True)  # noqa: E731, ARG005
    monkeypatch.setattr("heterosis.engines.onnxruntime.OnnxruntimeSession.close", close)
    with pytest.raises(ValueError, match="no alphabet for big"):
        open_runner(hs.stage(Picky), variants.reference("classify"), threads=1)
    assert closed == [True]
