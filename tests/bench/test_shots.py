"""Samples as requests, and answers as scores."""

import asyncio
from itertools import islice

import numpy as np
import pytest

import heterosis as hs
from heterosis.bench.shots import accuracy_of, in_turn, make_shots, truths_of
from heterosis.pipeline import Pipeline
from heterosis.serving.protocol import decode_request
from heterosis.terms.errors import UsageError


class Repeat:
    """Repeat a text."""

    def run(self, text: str, times: int) -> str:
        """Do it."""
        return text * times


repeat = hs.stage(Repeat)


def make_pipeline(*samples: hs.Sample) -> Pipeline:
    """A pipeline with these samples, judged by the share of the right length."""

    @hs.pipeline(slo=hs.Slo(latency_ms=100))
    async def repeated(text: str, times: int) -> str:
        return await repeat(text, times)  # type: ignore[no-any-return]

    if samples:
        repeated.samples(lambda: samples)
    repeated.accuracy(lambda result, truth: min(1.0, len(result) / len(truth)))
    return repeated


SAMPLES = (hs.Sample({"text": "ab", "times": 2}, truth="abab"), hs.Sample({"text": "é", "times": 1}))


def text(value: str) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.object_]]"]:
    """An answer of the pipeline."""
    return {"output": np.array([value.encode()], dtype=object)}


def test_shots_are_what_the_pipeline_takes() -> None:
    """Each shot decodes to its sample's own values."""
    pipeline = make_pipeline(*SAMPLES)
    for shot, sample in zip(make_shots(pipeline), SAMPLES, strict=True):
        request = decode_request(shot.body, shot.header_length)
        assert request.wanted("output").binary
        assert pipeline.signature.decode(request.inputs) == sample.inputs


def test_a_pipeline_without_samples_cannot_be_sent() -> None:
    """The message says how to give samples."""
    with pytest.raises(UsageError, match=r"give it some with @repeated\.samples"):
        make_shots(make_pipeline())


def test_in_turn_is_fair_and_reproducible() -> None:
    """Every shot comes up equally often, in an order that the seed decides."""
    shots = make_shots(make_pipeline(*SAMPLES))
    drawn = [shot.sample for shot in islice(in_turn(shots, 5), 100)]
    assert drawn.count(0) == drawn.count(1) == 50
    assert drawn == [shot.sample for shot in islice(in_turn(shots, 5), 100)]
    assert drawn != [shot.sample for shot in islice(in_turn(shots, 6), 100)]


def test_accuracy() -> None:
    """Answers are judged by the pipeline's own score; a sample without truth is left out, a wrong form scores 0."""
    pipeline = make_pipeline(*SAMPLES)
    truths = [sample.truth for sample in SAMPLES]
    answers = [(0, text("abab")), (0, text("a")), (0, text("a")), (1, text("x"))]
    assert accuracy_of(pipeline, answers, truths) == (0.5, 3)
    assert accuracy_of(pipeline, [(0, {"output": np.zeros((2, 2))}), (0, {})], truths) == (0.0, 2)
    assert accuracy_of(pipeline, [(1, text("x"))], truths) == (None, 0)


def test_a_sample_without_truth_is_judged_by_the_references() -> None:
    """What the reference variants answer here stands in for a truth that is not given."""
    assert asyncio.run(truths_of(make_pipeline(*SAMPLES))) == ["abab", "é"]
