"""What an instance runs before it takes requests, so that no client waits for a first time."""

from collections.abc import Sequence
from typing import Any

from heterosis.profiling.sampling import draw
from heterosis.terms import OperatingPoint, Placement

Args = tuple[Any, ...]

LONGEST_MS = 2000.0
"""About how long it may take; engines meet most shapes of inputs in that time."""


def warm_up_batches(placement: Placement, points: Sequence[OperatingPoint], calls: Sequence[Args]) -> list[list[Args]]:
    """Batches of a stage's traced calls, of every power of two up to the placement's largest batch, in turn.

    ``points`` tell how long they take. Every size comes up at least once, however long that takes; a stage that no
    sample calls has nothing to warm up with.
    """
    if not calls:
        return []
    means = {point.batch: point.latency.mean_ms for point in points if point.configuration == placement.configuration}
    sizes = sorted({1, placement.max_batch, *(2**power for power in range(placement.max_batch.bit_length()))})
    streams = {size: draw(calls, size) for size in sizes}
    chosen: list[list[Args]] = []
    spent_ms = 0.0
    while len(chosen) < len(sizes) or (spent_ms < LONGEST_MS and len(chosen) < len(sizes) * len(calls)):
        size = sizes[len(chosen) % len(sizes)]
        chosen.append(next(streams[size]))
        known = [batch for batch in means if batch >= size]
        spent_ms += means[min(known)] if known else LONGEST_MS
    return chosen
