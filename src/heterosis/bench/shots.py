"""What is sent, and what the answers are worth: a pipeline's samples at its edge."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from heterosis.pipeline import Pipeline, trace
from heterosis.serving.protocol import InferRequest, encode_request
from heterosis.serving.protocol.tensors import to_binary
from heterosis.terms.errors import InvalidInputError, UsageError

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class Shot(msgspec.Struct, frozen=True, kw_only=True):
    """One sample, encoded once: ``body`` as it is sent, the first ``header_length`` bytes of it JSON (over HTTP)."""

    sample: int
    body: bytes
    header_length: int | None


def make_shots(pipeline: Pipeline, *, grpc: bool = False) -> list[Shot]:
    """Encode every sample of a pipeline, in the binary form of HTTP or for gRPC."""
    samples = pipeline.load_samples()
    if not samples:
        raise UsageError(
            f"pipeline {pipeline.name!r} has no samples to send: give it some with @{pipeline.name}.samples"
        )
    shots = []
    for position, sample in enumerate(samples):
        inputs = {edge.spec.name: edge.encode(sample.inputs[edge.spec.name]) for edge in pipeline.signature.inputs}
        request = InferRequest(inputs=inputs, binary_output=True)
        if grpc:
            from heterosis.serving.protocol.grpc.codec import encode_infer_request

            body = encode_infer_request(pipeline.name, request)
            shots.append(Shot(sample=position, body=body, header_length=None))
        else:
            length, parts = encode_request(request)
            shots.append(Shot(sample=position, body=b"".join(parts), header_length=length))
    return shots


def in_turn(samples: Sequence[T], seed: int) -> Iterator[T]:
    """Go round the samples for ever, each as often as any other, in a new order each time."""
    random = np.random.default_rng(seed)
    while True:
        for position in random.permutation(len(samples)):
            yield samples[position]


async def truths_of(pipeline: Pipeline) -> list[Any]:
    """Return the truth of each sample or, where it is not given, what the reference variants answer here.

    Variants are judged by the same (`heterosis.variants.accuracy`).
    """
    samples = pipeline.load_samples()
    untold = [position for position, sample in enumerate(samples) if sample.truth is None]
    truths = [sample.truth for sample in samples]
    if untold:
        answered = await trace(pipeline, [samples[position] for position in untold])
        for position, result in zip(untold, answered.results, strict=True):
            truths[position] = result
    return truths


def accuracy_of(
    pipeline: Pipeline, answers: Sequence[tuple[int, Mapping[str, Array]]], truths: Sequence[Any]
) -> tuple[float | None, int]:
    """Mean accuracy (0..1) of ``(sample, outputs)`` answers, and how many had a truth to judge by; None without any.

    ``truths`` has each sample's, None where it is not known. An answer that is not what the pipeline's signature
    promises scores 0.
    """
    known: dict[tuple[Any, ...], float] = {}
    scores = []
    for position, outputs in answers:
        if truths[position] is None:
            continue
        key = (position, *(part for name in sorted(outputs) for part in (name, bytes(to_binary(outputs[name])))))
        if key not in known:
            known[key] = _score(pipeline, outputs, truths[position])
        scores.append(known[key])
    return (float(np.mean(scores)) if scores else None), len(scores)


def _score(pipeline: Pipeline, outputs: Mapping[str, Array], truth: Any) -> float:
    try:
        return pipeline.score(pipeline.signature.decode_result(outputs), truth)
    except InvalidInputError:
        return 0.0
