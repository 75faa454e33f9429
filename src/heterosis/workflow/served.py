"""What was profiled, as it is when it is served.

Who profiles runs one batch after the other: caches stay warm, clocks high, and the other cores at rest. Batches are
mixed from all samples. Served requests come one by one, to cores that slept or ran something else, and their calls are
large or small together. So batches take longer, and those of some requests all do. Measuring the server's overhead
shows by how much (`Overhead.stretch`): on average, which goes into the operating points, and beyond that for the calls
of each sample.
"""

from collections.abc import Iterable

import msgspec

from heterosis.control.speeds import slowed
from heterosis.planning import Snapshot
from heterosis.terms import OperatingPoint, Overhead, PipelineGraph, Plan, Profile
from heterosis.terms.profile import drawn_mean


def served(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose operating points and calls are as its overhead says that they are when served."""
    points = stretched(snapshot.profile.points, snapshot.graph, snapshot.overhead)
    return msgspec.structs.replace(
        snapshot,
        graph=weighted(snapshot.graph, snapshot.overhead),
        profile=msgspec.structs.replace(snapshot.profile, points=points),
    )


def stretched(points: Iterable[OperatingPoint], graph: PipelineGraph, overhead: Overhead) -> tuple[OperatingPoint, ...]:
    """Return points that were profiled as they are when served."""
    factors = mean_stretch(graph, overhead)
    return tuple(
        _stretched(each, factors[each.configuration.stage]) if each.configuration.stage in factors else each
        for each in points
    )


def weighted(graph: PipelineGraph, overhead: Overhead) -> PipelineGraph:
    """Return a graph whose calls have the work of their samples."""
    factors = mean_stretch(graph, overhead)
    requests = tuple(
        msgspec.structs.replace(
            request,
            calls=tuple(
                msgspec.structs.replace(call, work=overhead.stretch[call.stage][number] / factors[call.stage])
                if call.stage in factors
                else call
                for call in request.calls
            ),
        )
        for number, request in enumerate(graph.requests)
    )
    return msgspec.structs.replace(graph, requests=requests)


def mean_stretch(graph: PipelineGraph, overhead: Overhead) -> dict[str, float]:
    """Return by how much the calls of each stage are stretched on average, as far as that was measured."""
    found = {}
    for stage, of_samples in overhead.stretch.items():
        counts = graph.fan_out(stage).counts
        if len(of_samples) == len(counts) and sum(counts) > 0:
            found[stage] = sum(count * each for count, each in zip(counts, of_samples, strict=True)) / sum(counts)
    return found


def as_profiled(plan: Plan, profile: Profile) -> Plan:
    """Return a plan with the operating points that it has in a profile, whatever it was made with."""
    profiled = {(each.configuration, each.batch): each for each in profile.points}
    points = tuple(profiled[each.configuration, each.batch] for each in plan.points)
    return msgspec.structs.replace(plan, points=points)


def _stretched(point: OperatingPoint, factor: float) -> OperatingPoint:
    """Return a point whose times, as simulated batches draw them, are so many times the mean that was profiled."""
    found = slowed(point, factor)
    latency = found.latency
    scale = latency.mean_ms / drawn_mean(latency.p50_ms, latency.p95_ms, latency.p99_ms)
    latency = msgspec.structs.replace(
        latency, p50_ms=scale * latency.p50_ms, p95_ms=scale * latency.p95_ms, p99_ms=scale * latency.p99_ms
    )
    return msgspec.structs.replace(found, latency=latency, cpu_ms=factor * point.cpu_ms)
