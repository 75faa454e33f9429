"""What arrives: requests with their times, classes, sizes and shapes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from heterosis.terms import DEFAULT_CLASS, PipelineGraph, TracedCall, TracedRequest

CHUNK = 10_000
"""Requests that `stream` makes at a time."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request to come."""

    at: float
    """Seconds from the start of the run."""
    shape: TracedRequest
    """The calls that it will make."""
    size: int = 1
    """Items of each of its calls."""
    request_class: str = DEFAULT_CLASS
    latency_ms: float | None = None
    """Its own latency objective, where that is not the plan's."""
    pipeline: str = ""
    """Whose request it is, where the plan is for several."""
    divisible: bool = False
    """Whether the items of its calls may run apart."""


class Sizes(Protocol):
    """A distribution of sizes."""

    def draw(self, rng: np.random.Generator, count: int) -> Sequence[int]:
        """Draw so many sizes, independently."""
        ...


@dataclass(frozen=True, slots=True)
class RequestClass:
    """Requests of one kind: their share of the load, their shapes (drawn evenly), their sizes (1 where none given)."""

    shapes: tuple[TracedRequest, ...]
    name: str = DEFAULT_CLASS
    share: float = 1.0
    latency_ms: float | None = None
    sizes: Sizes | None = None
    pipeline: str = ""
    """Whose requests they are, where the plan is for several."""
    divisible: bool = False
    """Whether the items of their calls may run apart."""


def single_call(stage: str) -> TracedRequest:
    """The shape of a request that calls one stage once."""
    return TracedRequest(calls=(TracedCall(stage=stage),))


def workload(
    times: Iterable[float], requests: PipelineGraph | Sequence[RequestClass], *, seed: int = 0
) -> list[Arrival]:
    """Give each moment a request, drawn from a pipeline's samples or a mix of classes; the same for the same seed."""
    return _give([float(time) for time in times], _classes(requests), _draws(seed))


def stream(
    times: Iterable[float], requests: PipelineGraph | Sequence[RequestClass], *, seed: int = 0
) -> Iterator[Arrival]:
    """Do as `workload` does, but `CHUNK` requests at a time, so that a day of them needs no more memory than a minute.

    Draws are those of `workload` for the first chunk only.
    """
    moments, classes, rng = map(float, times), _classes(requests), _draws(seed)
    while chunk := list(islice(moments, CHUNK)):
        yield from _give(chunk, classes, rng)


def _classes(requests: PipelineGraph | Sequence[RequestClass]) -> Sequence[RequestClass]:
    return (RequestClass(shapes=requests.requests),) if isinstance(requests, PipelineGraph) else requests


def _draws(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])  # not the stream that drew the moments


def _give(moments: Sequence[float], classes: Sequence[RequestClass], rng: np.random.Generator) -> list[Arrival]:
    shares = np.array([each.share for each in classes])
    chosen = rng.choice(len(classes), len(moments), p=shares / shares.sum()).tolist()
    shapes = rng.random(len(moments)).tolist()
    sizes = [each.sizes.draw(rng, len(moments)) if each.sizes is not None else None for each in classes]
    arrivals = []
    for number, at in enumerate(moments):
        kind = classes[chosen[number]]
        drawn = sizes[chosen[number]]
        arrivals.append(
            Arrival(
                at,
                kind.shapes[int(shapes[number] * len(kind.shapes))],
                1 if drawn is None else int(drawn[number]),
                kind.name,
                kind.latency_ms,
                kind.pipeline,
                kind.divisible,
            )
        )
    return arrivals
