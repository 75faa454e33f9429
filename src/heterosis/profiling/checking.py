"""How well points are predicted that were left out: batch sizes between others, and numbers of threads."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from heterosis.profiling.prediction import Predictor
from heterosis.terms import Configuration, OperatingPoint

BATCH, THREADS = "batch sizes", "numbers of threads"


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """One point that was predicted from others. Errors are relative: 0.05 is 5 % off, on either side."""

    held_out: str
    """`BATCH`: all other batch sizes of the configuration were known; `THREADS`: nothing with so many threads was, of
    this variant."""
    configuration: Configuration
    batch: int
    p50_error: float
    p95_error: float
    within: bool
    """Whether the median lies in the prediction's 95 % interval."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the points of one kind."""

    held_out: str
    points: int
    p50_error: float
    p95_error: float
    within: float
    """Share of the medians in their 95 % intervals."""


def check(points: Iterable[OperatingPoint]) -> list[HeldOut]:
    """Predict each point that can be from the others of its stage.

    Left out are, in turn, every batch size of a configuration but its smallest and largest; and every configuration
    with more threads than the fewest that its variant was measured with.
    """
    stages: dict[str, list[OperatingPoint]] = defaultdict(list)
    for point in points:
        stages[point.configuration.stage].append(point)
    return [held for of_stage in stages.values() for held in (*_batches(of_stage), *_threads(of_stage))]


def summary(held: Sequence[HeldOut]) -> list[Errors]:
    """Return the medians of each kind that occurs."""
    found = []
    for kind in (BATCH, THREADS):
        of_kind = [each for each in held if each.held_out == kind]
        if of_kind:
            figures = np.array([(each.p50_error, each.p95_error) for each in of_kind])
            p50, p95 = np.median(figures, axis=0).tolist()
            within = sum(each.within for each in of_kind) / len(of_kind)
            found.append(Errors(held_out=kind, points=len(of_kind), p50_error=p50, p95_error=p95, within=within))
    return found


def _batches(points: Sequence[OperatingPoint]) -> Iterator[HeldOut]:
    for configuration in dict.fromkeys(point.configuration for point in points):
        own = sorted((point for point in points if point.configuration == configuration), key=lambda point: point.batch)
        for left_out in own[1:-1]:
            predictor = Predictor([point for point in points if point is not left_out])
            yield _held(BATCH, predictor, left_out)


def _threads(points: Sequence[OperatingPoint]) -> Iterator[HeldOut]:
    configurations = dict.fromkeys(point.configuration for point in points)
    fewest: dict[str, int] = {}
    for each in configurations:
        fewest[each.variant] = min(each.threads, fewest.get(each.variant, each.threads))
    for configuration in configurations:
        if configuration.threads > fewest[configuration.variant]:
            predictor = Predictor([point for point in points if point.configuration != configuration])
            for left_out in points:
                if left_out.configuration == configuration:
                    yield _held(THREADS, predictor, left_out)


def _held(kind: str, predictor: Predictor, left_out: OperatingPoint) -> HeldOut:
    found = predictor.predict(left_out.configuration, left_out.batch)
    p50_ms = left_out.latency.p50_ms
    return HeldOut(
        held_out=kind,
        configuration=left_out.configuration,
        batch=left_out.batch,
        p50_error=abs(found.p50_ms.value / p50_ms - 1),
        p95_error=abs(found.p95_ms / left_out.latency.p95_ms - 1),
        within=found.p50_ms.at(-1.96) <= p50_ms <= found.p50_ms.at(1.96),
    )
