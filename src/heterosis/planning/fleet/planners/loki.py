"""Loki: fewest servers with the best variants; where they do not suffice, the most accurate mix that all servers carry.

Ahmad et al., "Loki: A System for Serving ML Inference Pipelines with Hardware and Accuracy Scaling" (HPDC'24, §4). A
*path* gives every stage a variant and a batch size; ``c`` is the share of the requests that take it. The latencies of
its full batches may add up to half of the SLO, the other half being for queues. With ``x`` servers of each variant and
batch size, which carry ``q`` calls per second each, and ``m`` calls of the stage by a request of the path:

    sum of c = 1;    sum of c rate m over the paths through a server's variant and batch <= x q;    sum of x <= servers

*Hardware scaling* minimises ``x``, with paths of the most accurate variants alone. If that cannot be, *accuracy
scaling* maximises the mean accuracy of the paths.

Departures: the published program has one batch size for each variant, chosen by binaries that multiply the replicas;
here replicas are counted for each variant and batch, which is linear and allows whatever that does. Kinds of devices
and power modes are told apart like variants. Several pipelines are planned together.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from heterosis.planning.fleet.allotment import Allotment, Share
from heterosis.planning.fleet.planners.servers import (
    ROUNDING,
    Server,
    allotment,
    best_variants,
    combinations,
    servers,
    share,
)
from heterosis.planning.fleet.task import Combination, Task, Workload
from heterosis.planning.solver import Program, Row
from heterosis.terms.errors import UsageError

PART = 0.5
"""Of the SLO, what the batches of a path may take."""
MOST_PATHS = 200_000
GAP = 1e-3
BATCHES_OF_BUDGET = 2
"""A stage may take so many times its batch: wait for one, and run in one."""


@dataclass(frozen=True, slots=True)
class Path:
    """A server for every stage of a pipeline."""

    servers: tuple[Server, ...]
    calls_per_s: tuple[float, ...]
    """Of each stage, if all requests took this path."""
    accuracy: float


def loki(task: Task, part: float = PART) -> Allotment | None:
    """Plan as Loki does; None where no mix of variants suffices. Batches may take a ``part`` of the SLO."""
    found = {stage: _undominated(of) for stage, of in servers(task).items()}
    best = [_paths(workload, found, [best_variants(workload)], part) for workload in task.workloads]
    if (planned := _solved(task, best, fewest=True)) is not None:
        return planned
    every = [_paths(workload, found, combinations(workload, found), part) for workload in task.workloads]
    return _solved(task, every, fewest=False)


def _undominated(found: Sequence[Server]) -> list[Server]:
    """Leave out batches that are neither faster nor carry more than another of the same variant on the same kind."""
    return [
        each
        for each in found
        if not any(
            other is not each
            and (other.option.variant.name, other.option.group) == (each.option.variant.name, each.option.group)
            and other.latency_s <= each.latency_s
            and other.per_s >= each.per_s
            and (other.latency_s < each.latency_s or other.per_s > each.per_s or other.option.batch < each.option.batch)
            for other in found
        )
    ]


def _paths(
    workload: Workload, found: dict[str, list[Server]], usable: Sequence[Combination], part: float
) -> list[Path]:
    listed: list[Path] = []
    for combination in usable:
        calls, accuracy = workload.calls(combination), workload.accuracy(combination)
        choices = [[each for each in found[stage] if each.option.variant.name == name] for stage, name in combination]
        per_s = tuple(workload.rate_rps * calls[stage] for stage, _ in combination)
        for chosen in _within(workload, choices, part):
            listed.append(Path(chosen, per_s, accuracy))
            if len(listed) > MOST_PATHS:
                raise UsageError(f"{workload.graph.pipeline!r} has over {MOST_PATHS} paths; keep fewer batch sizes")
    return listed


def _within(workload: Workload, choices: Sequence[Sequence[Server]], part: float) -> Iterator[tuple[Server, ...]]:
    """Every choice of servers whose batches fit a part of the SLO along each path of the graph."""
    limit_s = part * workload.slo.latency_ms / 1e3 * (1 + ROUNDING)
    number = {stage: at for at, stage in enumerate(workload.graph.stages)}
    routes = [[number[stage] for stage in path] for path in workload.graph.paths()]
    fastest = [min((each.latency_s for each in of), default=0.0) for of in choices]

    def extend(chosen: tuple[Server, ...]) -> Iterator[tuple[Server, ...]]:
        if len(chosen) == len(choices):
            yield chosen
            return
        for server in choices[len(chosen)]:
            times = [*(each.latency_s for each in chosen), server.latency_s, *fastest[len(chosen) + 1 :]]
            if all(sum(times[at] for at in route) <= limit_s for route in routes):
                yield from extend((*chosen, server))

    return extend(())


def _solved(task: Task, listed: Sequence[list[Path]], *, fewest: bool) -> Allotment | None:
    """Solve one of the two steps."""
    if not all(listed):
        return None
    step = _Step(task, listed)
    values = step.program.minimise(step.servers_taken() if fewest else step.accuracy_lost(), GAP, presolve=True)
    if values is None:
        return None
    reason = "the best variants, on fewest servers" if fewest else "too few servers for the best variants alone"
    return allotment("loki", task, step.shares(values), f"{'hardware' if fewest else 'accuracy'} scaling: {reason}")


class _Step:
    """The program: a column for each server, with how many there are, and one for each path, with its share."""

    def __init__(self, task: Task, listed: Sequence[list[Path]]) -> None:
        self._task = task
        self._used = list({id(each): each for of in listed for path in of for each in path.servers}.values())
        self._paths = [(number, path) for number, of in enumerate(listed) for path in of]
        upper = np.ones(len(self._used) + len(self._paths))
        upper[: len(self._used)] = [len(task.kinds[each.option.group[0]].units) for each in self._used]
        self.program = Program(np.zeros(len(upper)), upper, len(self._used))
        column = {id(each): at for at, each in enumerate(self._used)}
        self._asked: list[dict[int, float]] = [{} for _ in self._used]
        shares: dict[int, dict[int, float]] = defaultdict(dict)
        for at, (number, path) in enumerate(self._paths, len(self._used)):
            shares[number][at] = 1.0
            for server, per_s in zip(path.servers, path.calls_per_s, strict=True):
                self._asked[column[id(server)]][at] = per_s
        for at, (server, asked) in enumerate(zip(self._used, self._asked, strict=True)):
            self.program.add({**asked, at: -server.per_s}, upper=0.0)
        for row in shares.values():
            self.program.add(row, 1.0, 1.0)
        for number, kind in enumerate(task.kinds):
            of = {at: 1.0 for at, each in enumerate(self._used) if each.option.group[0] == number}
            if of:
                self.program.add(of, upper=len(kind.units))

    def servers_taken(self) -> Row:
        """The cost of hardware scaling."""
        cost = self.program.row()
        cost[: len(self._used)] = 1.0
        return cost

    def accuracy_lost(self) -> Row:
        """The cost of accuracy scaling: requests of all pipelines count the same."""
        cost = self.program.row()
        total = sum(workload.rate_rps for workload in self._task.workloads)
        for at, (number, path) in enumerate(self._paths, len(self._used)):
            cost[at] = -path.accuracy * self._task.workloads[number].rate_rps / total
        return cost

    def shares(self, values: Row) -> Iterator[Share]:
        """What was found, as devices."""
        for at, (server, asked) in enumerate(zip(self._used, self._asked, strict=True)):
            per_s = sum(calls * float(values[path]) for path, calls in asked.items())
            yield share(server, round(values[at]), per_s, BATCHES_OF_BUDGET * server.latency_s)
