"""IPA: one variant, one batch size and so many replicas for each stage, at the best weighted accuracy and cost.

Ghafouri et al., "IPA: Inference Pipeline Adaptation to Achieve High Accuracy and Cost-Efficiency" (arXiv 2308.12871,
§4). With binaries for what each stage runs, and replicas ``n = ceil(rate / throughput)``, it maximises

    alpha accuracy - beta sum of n cost - delta sum of batches

where the batches' latencies and the waits for them to fill, ``(b - 1) / rate``, fit the SLO along every path. Accuracy
is that of the pipeline in per cent, costs are prices of the devices (1 where unknown).

Departures: the product of accuracies enters through a binary for each combination of variants, which keeps the program
linear; replicas follow from what a stage runs, so they are figures, not variables. The weights are those that the paper
gives its video pipeline (alpha 2, beta 1, delta 1e-6), as reconstructed; another pipeline needs others.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from heterosis.planning.fleet.allotment import Allotment
from heterosis.planning.fleet.planners.servers import Server, allotment, combinations, servers, share
from heterosis.planning.fleet.task import Task
from heterosis.planning.solver import Program

ALPHA, BETA, DELTA = 2.0, 1.0, 1e-6


Demand = tuple[str, str, float]
"""Of a stage, one of its variants, and the calls per second that it would serve."""


def ipa(task: Task, *, alpha: float = ALPHA, beta: float = BETA, delta: float = DELTA) -> Allotment | None:
    """Plan as IPA does; None where nothing fits the SLO and the fleet. Raise UsageError where variants are too many."""
    program = _Program(task)
    taken = program.solve(alpha, beta, delta)
    if taken is None:
        return None
    shares = [share(server, server.needed(per_s), per_s, latency_s(server, per_s)) for server, per_s in taken]
    return allotment("ipa", task, shares, f"accuracy counts {alpha:g} a point, cost {beta:g}, batches {delta:g}")


class _Program:
    """A binary for each combination of variants, and one for all that a stage could run for each demand."""

    def __init__(self, task: Task) -> None:
        self._task = task
        found = servers(task)
        self._chosen = [
            (number, each) for number, workload in enumerate(task.workloads) for each in combinations(workload, found)
        ]
        self._demands: dict[Demand, list[int]] = defaultdict(list)
        for at, (number, combination) in enumerate(self._chosen):
            workload = task.workloads[number]
            calls = workload.calls(combination)
            for stage, name in combination:
                self._demands[stage, name, workload.rate_rps * calls[stage]].append(at)
        self._run = [
            (server, demand)
            for demand in self._demands
            for server in found[demand[0]]
            if server.option.variant.name == demand[1]
        ]
        columns = len(self._chosen) + len(self._run)
        self._program = Program(np.zeros(columns), np.ones(columns), columns)
        self._choose_one()
        self._keep_inventory()
        self._keep_latency()

    def solve(self, alpha: float, beta: float, delta: float) -> list[tuple[Server, float]] | None:
        """What runs, and the calls per second of each; None where the rows contradict each other."""
        cost = self._program.row()
        for at, (number, combination) in enumerate(self._chosen):
            cost[at] = -alpha * 100 * self._task.workloads[number].accuracy(combination)
        for at, server, per_s in self._columns():
            cost[at] = beta * server.needed(per_s) * server.price + delta * server.option.batch
        values = self._program.minimise(cost, presolve=True)
        return (
            None if values is None else [(server, per_s) for at, server, per_s in self._columns() if round(values[at])]
        )

    def _columns(self) -> Iterator[tuple[int, Server, float]]:
        for at, (server, (_, _, per_s)) in enumerate(self._run, len(self._chosen)):
            yield at, server, per_s

    def _choose_one(self) -> None:
        for number in range(len(self._task.workloads)):
            self._program.add({at: 1.0 for at, (of, _) in enumerate(self._chosen) if of == number}, 1.0, 1.0)
        for demand, asking in self._demands.items():
            able = {at: 1.0 for at, (_, of) in enumerate(self._run, len(self._chosen)) if of == demand}
            self._program.add({**able, **dict.fromkeys(asking, -1.0)}, 0.0, 0.0)

    def _keep_inventory(self) -> None:
        for number, kind in enumerate(self._task.kinds):
            devices = {
                at: float(server.needed(per_s))
                for at, server, per_s in self._columns()
                if server.option.group[0] == number
            }
            if devices:
                self._program.add(devices, upper=len(kind.units))

    def _keep_latency(self) -> None:
        for workload in self._task.workloads:
            for path in workload.graph.paths():
                times = {
                    at: path.count(server.option.stage) * latency_s(server, per_s)
                    for at, server, per_s in self._columns()
                    if server.option.stage in path
                }
                self._program.add(times, upper=workload.slo.latency_ms / 1e3)


def latency_s(server: Server, per_s: float) -> float:
    """Of a call that waits for its batch to fill, and runs."""
    return server.latency_s + (server.option.batch - 1) / per_s
