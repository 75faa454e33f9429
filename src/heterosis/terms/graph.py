"""The shape of a pipeline, as traced on its samples."""

import math
from collections import Counter

import msgspec


class TracedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a sample request. ``parents`` are the positions of the calls that it had to wait for."""

    stage: str
    parents: tuple[int, ...] = ()
    work: float = 1.0
    """Its run time over that of the stage's calls on average, in batches of the same size."""


class TracedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one sample request, in an order in which parents come first."""

    calls: tuple[TracedCall, ...]


class FanOut(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a stage per request: an empirical distribution, one count for each sample."""

    counts: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean number of calls per request."""
        return sum(self.counts) / len(self.counts)

    def quantile(self, percent: float) -> int:
        """Return the smallest count that at least ``percent`` percent of the samples do not exceed."""
        ordered = sorted(self.counts)
        return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


class PipelineGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Stages and how calls of them follow each other, with the samples' own call trees to draw requests from.

    Loops, branches and joins need no notation: each sample is a small acyclic graph of calls, and every derived figure
    (fan-out, edges, paths) is read off those.
    """

    pipeline: str
    stages: tuple[str, ...]
    requests: tuple[TracedRequest, ...]
    time_share: dict[str, float] = {}
    """Share of a request's compute time that each stage took while tracing, with reference variants."""
    input_bytes: dict[str, float] = {}
    """Mean bytes that a call of a stage brings along to another machine; 0 where unknown."""

    def fan_out(self, stage: str) -> FanOut:
        """Calls of a stage per request, over the samples."""
        return FanOut(counts=tuple(sum(call.stage == stage for call in request.calls) for request in self.requests))

    def edges(self) -> dict[tuple[str, str], float]:
        """Calls of the second stage that follow one of the first, per request, for each pair of stages that occurs."""
        found: Counter[tuple[str, str]] = Counter()
        for request in self.requests:
            for call in request.calls:
                found.update((parent, call.stage) for parent in {request.calls[p].stage for p in call.parents})
        return {edge: count / len(self.requests) for edge, count in sorted(found.items())}

    def paths(self) -> tuple[tuple[str, ...], ...]:
        """Return the distinct sequences of stages from a first to a last call, over all samples, longest first.

        A stage that a request calls several times in a row on one path stands there as often.
        """
        found: set[tuple[str, ...]] = set()
        for request in self.requests:
            reaching: list[set[tuple[str, ...]]] = []
            inner = {parent for call in request.calls for parent in call.parents}
            for position, call in enumerate(request.calls):
                before = {path for parent in call.parents for path in reaching[parent]} or {()}
                reaching.append({(*path, call.stage) for path in before})
                if position not in inner:
                    found |= reaching[position]
        return tuple(sorted(found, key=lambda path: (-len(path), path)))
