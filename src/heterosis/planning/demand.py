"""What a request asks of each stage, read off the traced samples."""

import math
from collections import Counter, defaultdict

import msgspec

from heterosis.terms import PipelineGraph

Path = tuple[str, ...]


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one stage by a request.

    ``groups`` has, for each sample, the sizes of the groups of calls that are ready together: a gather of twelve calls
    is one group of 12, a loop that makes three calls in turn is three groups of 1.
    """

    groups: tuple[tuple[int, ...], ...]

    @property
    def mean(self) -> float:
        """Mean number of calls per request."""
        return sum(map(sum, self.groups)) / len(self.groups)

    @property
    def sizes(self) -> dict[int, float]:
        """Groups per request, by size."""
        found = Counter(size for groups in self.groups for size in groups)
        return {size: count / len(self.groups) for size, count in sorted(found.items())}

    def width(self, percent: float) -> int:
        """Return the size of group that ``percent`` percent of the requests do not exceed, at least 1."""
        widest = sorted(max(groups, default=0) for groups in self.groups)
        return max(1, widest[max(0, math.ceil(percent / 100 * len(widest)) - 1)])


def demand(graph: PipelineGraph, stage: str) -> Demand:
    """Group each sample's calls of a stage by how many calls of the same stage they follow."""
    samples = []
    for request in graph.requests:
        depths: list[int] = []
        sizes: Counter[int] = Counter()
        for call in request.calls:
            before = max((depths[parent] for parent in call.parents), default=0)
            if call.stage == stage:
                sizes[before] += 1
            depths.append(before + (call.stage == stage))
        samples.append(tuple(sizes[depth] for depth in sorted(sizes)))
    return Demand(groups=tuple(samples))


def rivals(graph: PipelineGraph) -> dict[Path, tuple[str, ...]]:
    """Return every path of the graph, with the stages that run beside it in some request, and may take its slots."""
    found: dict[Path, set[str]] = defaultdict(set)
    for request in set(graph.requests):
        called = {call.stage for call in request.calls}
        alone = PipelineGraph(pipeline=graph.pipeline, stages=graph.stages, requests=(request,))
        for path in alone.paths():
            found[path] |= called.difference(path)
    return {path: tuple(sorted(found[path])) for path in graph.paths()}
