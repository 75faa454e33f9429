"""InferLine's planner: replicate the bottleneck until the percentile fits, then take the largest saving each time.

Crankshaw et al., "InferLine: Latency-Aware Provisioning and Scaling for Prediction Serving Pipelines" (SoCC 2020, §4).
It starts with batches of one on the fastest hardware, and adds a replica to the stage that carries least until the
estimated latency at the SLO's percentile fits. Then, as long as one of these saves something and still fits, the one
that saves most is done: *remove a replica*, *double a batch*, *cheaper hardware* (which begins with batches of one
again, and as many replicas as it needs).

The paper has a cloud to take hardware from. On a fleet with too little of the fastest for all stages, the next fastest
of each are tried, in the order of their latencies. Its estimator is a simulation of the pipeline, which is handed in;
by default, the queueing model that ours plans with. Models are given: the most accurate variants. Reconstructed: a
doubled batch saves nothing by itself, so it counts with the replicas that can go then; where all savings are none, a
doubled batch that fits is taken: it carries more.
"""

from collections.abc import Callable
from itertools import product

from heterosis.planning.fleet.allotment import Allotment, Share
from heterosis.planning.fleet.planners.servers import Server, allotment, of_best_variants, share
from heterosis.planning.fleet.task import Task
from heterosis.planning.fleet.waits import queue_s

FASTEST = 4
"""Kinds of hardware of a stage that are tried to begin with."""

Estimate = Callable[[Allotment], float]
"""Latency at the SLO's percentile, as a multiple of the SLO."""


class _Configured:
    """What a stage runs on, and how often."""

    def __init__(self, server: Server, count: int) -> None:
        self.server, self.count = server, count

    @property
    def price(self) -> float:
        return self.server.price * self.count


State = dict[str, _Configured]


def inferline(task: Task, estimate: Estimate | None = None) -> Allotment | None:
    """Plan as InferLine does; None where even the fastest hardware of the fleet is too slow, or too little."""
    search = _Search(task, estimate or (lambda found: modelled(task, found)))
    state = search.start()
    while state is not None:
        better = search.better(state)
        if better is None:
            return search.allotment(state)
        state = better
    return None


class _Search:
    def __init__(self, task: Task, estimate: Estimate) -> None:
        self._task, self._estimate = task, estimate
        self._servers, self._calls = of_best_variants(task)

    def start(self) -> State | None:
        """The first configuration that fits: batches of one on the fastest hardware that there is enough of."""
        if not all(self._servers.values()):
            return None
        singles = [self._singles(stage) for stage in self._servers]
        for servers in sorted(product(*singles), key=lambda each: sum(server.latency_s for server in each)):
            state = {
                stage: _Configured(server, server.needed(self._calls[stage]))
                for stage, server in zip(self._servers, servers, strict=True)
            }
            grown = None if self.allotment(state) is None else self._grown(state, tuple(state))
            if grown is not None:
                return grown
        return None

    def _singles(self, stage: str) -> list[Server]:
        """The few fastest hardware for batches of one."""
        of = [each for each in self._servers[stage] if each.option.batch == self._least(stage)]
        return sorted(of, key=lambda each: each.latency_s)[:FASTEST]

    def better(self, state: State) -> State | None:
        """The action that saves most; of those that save nothing, a larger batch; None where there is none."""
        price = _price(state)
        found = [each for stage in state for each in self._actions(state, stage)]
        saving = [each for each in found if _price(each) < price]
        if saving:
            return min(saving, key=_price)
        larger = [each for each in found if _price(each) == price and _size(each) > _size(state)]
        return larger[0] if larger else None

    def _actions(self, state: State, stage: str) -> list[State]:
        now = state[stage]
        options = [{**state, stage: _Configured(now.server, now.count - 1)}] if now.count > 1 else []
        doubled = self._find(stage, now.server, 2 * now.server.option.batch)
        if doubled is not None:
            options += [{**state, stage: _Configured(doubled, count)} for count in range(now.count, 0, -1)]
        tried = [each for each in options if self._fits(each)]
        cheaper = [
            each
            for each in self._servers[stage]
            if each.price < now.server.price and each.option.batch == self._least(stage)
        ]
        for server in cheaper:
            started = {**state, stage: _Configured(server, server.needed(self._calls[stage]))}
            grown = self._grown(started, (stage,))
            if grown is not None:
                tried.append(grown)
        return tried

    def _grown(self, state: State, stages: tuple[str, ...]) -> State | None:
        """Add replicas to the one of these stages that carries least, until the percentile fits."""
        while not self._fits(state):
            bottleneck = min(stages, key=lambda stage: self._slack(state, stage))
            of = state[bottleneck]
            state = {**state, bottleneck: _Configured(of.server, of.count + 1)}
            if self.allotment(state) is None:
                return None
        return state

    def _slack(self, state: State, stage: str) -> float:
        return state[stage].server.per_s * state[stage].count / self._calls[stage]

    def _fits(self, state: State) -> bool:
        if any(self._slack(state, stage) < 1 for stage in state):
            return False
        found = self.allotment(state)
        return found is not None and self._estimate(found) <= 1

    def _least(self, stage: str) -> int:
        return min(each.option.batch for each in self._servers[stage])

    def _find(self, stage: str, like: Server, batch: int) -> Server | None:
        wanted = (like.option.configuration, like.option.group, batch)
        for each in self._servers[stage]:
            if (each.option.configuration, each.option.group, each.option.batch) == wanted:
                return each
        return None

    def allotment(self, state: State) -> Allotment | None:
        """What is planned so far; None where the fleet lacks the devices."""
        return allotment(
            "inferline",
            self._task,
            [self._share(stage, each) for stage, each in state.items()],
            "greedy over batches, replicas and hardware",
        )

    def _share(self, stage: str, of: _Configured) -> Share:
        calls, workload = self._calls[stage], self._task.stages[stage]
        wanted = workload.demand(stage)
        together = sum(size**2 * times for size, times in wanted.sizes.items()) / wanted.mean
        waiting = wait_s(of.server, of.count, calls, 1 - workload.slo.percentile / 100, together)
        return share(of.server, of.count, calls, of.server.latency_s + waiting)


def wait_s(server: Server, count: int, per_s: float, late: float, together: float = 1.0) -> float:
    """The wait that a share ``late`` of the calls exceeds, by the queueing model: for the batch, and for a server.

    ``together`` calls are ready at a time.
    """
    busy, batch = per_s / (count * server.per_s), server.option.batch
    filling_s = min((batch - 1) / per_s, server.batch_s)  # an idle server takes a batch that is not full
    return filling_s + queue_s(server.batch_s, count * server.abreast, busy, late, together / batch)


def modelled(task: Task, found: Allotment) -> float:
    """The longest path by the options' own latencies, as a multiple of the SLO."""
    longest = {stage: max(host.option.latency_s for host in found.hosted(stage)) for stage in task.stages}
    return max(
        sum(longest[stage] for stage in path) / workload.slo.latency_ms * 1e3
        for workload in task.workloads
        for path in workload.graph.paths()
    )


def _price(state: State) -> float:
    return sum(each.price for each in state.values())


def _size(state: State) -> int:
    return sum(each.server.option.batch for each in state.values())
