"""What need not be measured, and why.

The same points always give the same answer, so a run that was interrupted and resumed decides like one that was not.
"""

import math
from collections.abc import Mapping, Sequence

from heterosis.terms import OperatingPoint, PipelineGraph, Variant

CLEARLY = 1.25
"""One figure is clearly better than another by at least this factor, which noise does not explain."""

LEAST_GAIN = 0.03
"""A larger batch that makes an item neither faster nor cheaper by this share does not pay for its latency."""


def dominated(variant: Variant, point: OperatingPoint, others: Mapping[Variant, OperatingPoint]) -> str | None:
    """Say which other variant is at least as accurate, clearly faster and clearly cheaper; None where there is none.

    All points are at the same batch size and number of threads. Without an accuracy, nothing is known to be better.
    """
    for other, theirs in others.items():
        if variant.accuracy is None or other.accuracy is None or other.accuracy < variant.accuracy:
            continue
        faster = point.latency.p50_ms / max(theirs.latency.p50_ms, 1e-9)
        cheaper = _cost(point) / max(_cost(theirs), 1e-9)
        if faster >= CLEARLY and cheaper >= CLEARLY:
            return (
                f"{other.name} is as accurate ({other.accuracy:.3f}, {variant.accuracy:.3f} here), {faster:.1f} times "
                f"as fast, and takes {cheaper:.1f} times less CPU time"
            )
    return None


def no_larger_batch(points: Sequence[OperatingPoint], cap_ms: float, most_calls: int | None) -> str | None:
    """Say why no batch larger than those of these points, in order of size, is worth measuring; None where one is."""
    if not points:
        return None
    last, before = points[-1], points[:-1]
    if most_calls is not None and last.batch >= most_calls:
        return f"no more than {most_calls} calls ever wait together"
    if last.latency.p50_ms > cap_ms:
        return f"a batch of {last.batch} takes {last.latency.p50_ms:.0f} ms, more than the limit of {cap_ms:.0f} ms"
    if before:
        fastest = min(point.latency.mean_ms / point.batch for point in before)
        cheapest = min(_cost(point) / point.batch for point in before)
        keep = 1 - LEAST_GAIN
        if last.latency.mean_ms / last.batch > fastest * keep and _cost(last) / last.batch > cheapest * keep:
            return f"a batch of {last.batch} makes an item neither faster nor cheaper than a smaller one"
    return None


def calls_that_can_wait(graph: PipelineGraph, latency_ms: float, rate_rps: float) -> dict[str, int]:
    """Return, for each stage, how many of its calls can wait together at this rate: more could never fill a batch.

    They are those of all requests that arrive within one latency, three standard deviations (Poisson) above the mean.
    """
    mean = rate_rps * latency_ms / 1e3
    requests = 1 + math.ceil(mean + 3 * math.sqrt(mean))
    return {stage: requests * graph.fan_out(stage).quantile(100) for stage in graph.stages}


def threads_in_vain(point: OperatingPoint, single: OperatingPoint) -> str | None:
    """Say so where more threads make a batch no faster than one thread does."""
    if point.latency.p50_ms * (1 + LEAST_GAIN) < single.latency.p50_ms:
        return None
    return f"{point.latency.p50_ms:.3g} ms, against {single.latency.p50_ms:.3g} ms with one thread"


def promising(variant: Variant) -> tuple[float, int]:
    """Sort key: the accurate first, then the small. Those that dominate tend to come before those they dominate."""
    return (-(variant.accuracy or 0.0), variant.size_bytes)


def _cost(point: OperatingPoint) -> float:
    """CPU time of a batch, which its modelled energy is a multiple of."""
    return point.cpu_ms
