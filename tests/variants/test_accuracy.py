"""Judging combinations of variants."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import heterosis as hs
from heterosis.pipeline import StageRunner, Trace
from heterosis.terms import Variant, VariantSet
from heterosis.terms.errors import UsageError
from heterosis.variants import Judge

Made = tuple[Path, Path, Trace, VariantSet]
Write = Callable[..., Path]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage of every call that is run from now on."""
    names: list[str] = []
    run = StageRunner.run

    def counted(self: StageRunner, batch: Sequence[tuple[Any, ...]]) -> list[Any]:
        names.append(self.stage.name)
        return run(self, batch)

    monkeypatch.setattr(StageRunner, "run", counted)
    return names


def judge_of(made: Made, store: Path) -> Judge:
    """Return a judge with an empty store."""
    pipeline, variants = hs.load_pipeline(made[0]), made[3]
    return Judge(pipeline, {stage.name: variants.reference(stage.name) for stage in pipeline.stages}, store)


def test_only_what_differs_is_run(made: Made, tmp_path: Path, ran: list[str]) -> None:
    """Another variant of one stage leaves the calls of the stages before it as they were."""
    judge = judge_of(made, tmp_path)
    assert judge.verdict({}).accuracy == 1.0
    assert (ran.count("cut"), ran.count("classify")) == (24, 48)
    ran.clear()
    other = made[3].of("classify")[1]
    assert judge.verdict({"classify": other}).accuracy == other.accuracy
    assert ran == ["classify"] * 48
    judge.close()


def test_verdicts_lie_in_the_store(made: Made, tmp_path: Path, ran: list[str]) -> None:
    """Another judge finds them, under whatever name the combination is asked for."""
    judge, other = judge_of(made, tmp_path), made[3].of("classify")[1]
    first = judge.verdict({"classify": other})
    judge.close()
    ran.clear()
    later = judge_of(made, tmp_path)
    assert later.verdict({"classify": other, "cut": made[3].reference("cut")}) == first
    later.close()
    assert not ran


def test_what_cannot_be_run_has_a_reason(made: Made, tmp_path: Path) -> None:
    """An artifact that is gone; the references are judged as before."""
    judge = judge_of(made, tmp_path)
    gone = msgspec.structs.replace(made[3].of("classify")[1], artifact="/nowhere/model.onnx", digest="gone")
    verdict = judge.verdict({"classify": gone})
    assert verdict.accuracy is None
    assert verdict.reason.startswith("sample 1 of 24: no model file /nowhere/model.onnx")
    assert judge.verdict({}).accuracy == 1.0
    judge.close()


ODD = """
import numpy as np

import heterosis as hs


class Odd:
    models = {"first": "FIRST.onnx", "second": "broken.onnx"}

    def before(self, tile):
        return tile

    def after(self, scores, tile):
        return scores


odd = hs.stage(Odd)


@hs.pipeline(slo=hs.Slo(latency_ms=100))
async def oddity(tile: np.ndarray) -> np.ndarray:
    scores = await odd(tile)
    scores += 1  # a pipeline may change what it gets
    return (scores - await odd(tile)).sum() + BONUS


@oddity.samples
def tiles():
    for _ in range(3):
        yield hs.Sample({"tile": np.ones((3, 16, 16), np.float32)}, truth=0.0)


@oddity.accuracy
def constant(result, truth):
    return SCORE
"""


def oddity(
    folder: Path, write_pipeline: Write, first: str = "big", score: str = "0.5", bonus: str = "0"
) -> hs.Pipeline:
    """Write and load a pipeline with a model whose output is not finite."""
    write_pipeline(folder, truth=False)
    file = folder / "odd.py"
    file.write_text(ODD.replace("FIRST", first).replace("SCORE", score).replace("BONUS", bonus))
    return hs.load_pipeline(file)


def variant(pipeline: hs.Pipeline, model: str) -> Variant:
    """Return one of the stage's models as it is."""
    (stage,) = pipeline.stages
    artifact = str(stage.artifact(model))
    return Variant(stage="odd", model=model, engine="onnxruntime", precision="fp32", artifact=artifact, digest=model)


@pytest.mark.parametrize(("first", "accuracy"), [("big", None), ("broken", 0.5)])
def test_infinities_are_refused_unless_the_reference_has_them(
    first: str, accuracy: float | None, write_pipeline: Write, tmp_path: Path
) -> None:
    """Where the reference's own output is not finite, that is how the model is."""
    pipeline = oddity(tmp_path / "pipeline", write_pipeline, first)
    judge = Judge(pipeline, {"odd": variant(pipeline, "first")}, tmp_path / "store")
    for _ in range(2):  # judged, then found in the store
        verdict = judge.verdict({"odd": variant(pipeline, "second")})
        assert verdict.accuracy == accuracy
        assert verdict.not_finite == ("odd",)
    judge.close()


def test_a_pipeline_may_change_what_it_gets(write_pipeline: Write, tmp_path: Path) -> None:
    """Remembered results stay as the stage returned them: the same call gives the same again."""
    pipeline = oddity(tmp_path / "pipeline", write_pipeline)
    answers: list[float] = []

    def watched(result: Any, truth: Any) -> float:  # noqa: ARG001
        answers.append(float(result))
        return 1.0

    pipeline.accuracy(watched)
    judge = Judge(pipeline, {"odd": variant(pipeline, "first")}, tmp_path / "store")
    judge.verdict({})
    judge.close()
    assert answers == pytest.approx([8.0] * 3)  # of 8 scores, each one more than that of the second call


def test_a_pipeline_that_breaks_is_told_by_sample(write_pipeline: Write, tmp_path: Path) -> None:
    """Errors of the pipeline's own code count as the combination's."""
    pipeline = oddity(tmp_path / "pipeline", write_pipeline, bonus="{}['missing']")
    judge = Judge(pipeline, {"odd": variant(pipeline, "first")}, tmp_path / "store")
    assert judge.verdict({}).reason == "sample 1 of 3: KeyError: 'missing'"
    judge.close()


def test_a_measure_that_is_none_is_the_users_error(write_pipeline: Write, tmp_path: Path) -> None:
    """It is raised, not taken for a verdict."""
    pipeline = oddity(tmp_path / "pipeline", write_pipeline, score="7.0")
    judge = Judge(pipeline, {"odd": variant(pipeline, "first")}, tmp_path / "store")
    with pytest.raises(UsageError, match=r"returned 7\.0"):
        judge.verdict({})
    judge.close()
    assert not list((tmp_path / "store").rglob("*.json"))


def test_sessions_are_closed_when_they_are_done(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate's right after it was judged, the references' at the end."""
    closed: list[str] = []
    close = StageRunner.close

    def watched(self: StageRunner) -> None:
        closed.append(self.stage.name)
        close(self)

    monkeypatch.setattr(StageRunner, "close", watched)
    judge = judge_of(made, tmp_path)
    judge.verdict({})
    assert closed == []
    judge.verdict({"classify": made[3].of("classify")[1]})
    assert set(closed) == {"classify"}
    candidates = len(closed)
    judge.close()
    assert set(closed) == {"classify", "cut"}
    assert len(closed) > candidates


def test_calls_run_side_by_side(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never two at once on one session."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    busy: list[int] = []
    most: list[int] = []
    run = StageRunner.run

    def watched(self: StageRunner, batch: Sequence[tuple[Any, ...]]) -> list[Any]:
        assert id(self) not in busy
        busy.append(id(self))
        most.append(len(busy))
        time.sleep(0.002)
        results = run(self, batch)
        busy.remove(id(self))
        return results

    monkeypatch.setattr(StageRunner, "run", watched)
    judge = judge_of(made, tmp_path)
    assert judge.verdict({}).accuracy == 1.0
    judge.close()
    assert max(most) > 1
