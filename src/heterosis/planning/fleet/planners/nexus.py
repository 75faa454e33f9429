"""Nexus: the SLO is split by dynamic programming, saturated stages get whole GPUs, what is left over shares the others.

Shen et al., "Nexus: A GPU Cluster Engine for Accelerating DNN-Based Video Analysis" (SOSP'19, §4.1, 6.1, 6.2).

*Split*: for a stage with budget ``t``, whose calls are its parent's times the fan-out, the least GPUs of it and all
that follows are, in steps of a hundredth of the SLO,

    f(stage, t) = min over t' of gpus(stage, t') + sum over children of f(child, t - t'),   gpus = rate l(b) / b

for the largest batch ``b`` with ``2 l(b) <= t'``.

*Saturated*: as many GPUs as one can fill with that batch: a call waits for one batch at most, and runs in one.
*Residual*: what is left over runs in a duty cycle ``d = b / rate``, in the largest batch with ``d + l(b) <= t'``.
Squishy bin packing merges duty cycles, the fullest first: of two, the shorter one holds, batches of the other shrink to
what comes in it, and all must fit into the cycle; each goes where it leaves the GPU fullest, else to one of its own.

Departures: Nexus knows one type of GPU; here all that is planned is on one kind of device in one power mode, that which
takes the least for the task's objective. Models are given: the most accurate variants. A stage with several parents
follows the last of them; where another path is too long for the split, there is no plan.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from heterosis.planning.fleet.allotment import Allotment, Share
from heterosis.planning.fleet.costs import cost
from heterosis.planning.fleet.planners.servers import ROUNDING, Server, allotment, fits, host, of_best_variants, share
from heterosis.planning.fleet.task import Task, Workload

STEPS = 100
"""Of the SLO, what budgets are multiples of."""


def nexus(task: Task) -> Allotment | None:
    """Plan as Nexus does; None where no kind of device can do it alone."""
    found, calls = of_best_variants(task)
    groups = sorted({server.option.group for of in found.values() for server in of})
    plans = []
    for group in groups:
        of_group = {stage: [each for each in of if each.option.group == group] for stage, of in found.items()}
        if all(of_group.values()) and (planned := _planned(task, of_group, calls)) is not None:
            plans.append(planned)
    return min(plans, key=lambda each: cost(task, each), default=None)


def _planned(task: Task, found: dict[str, list[Server]], calls: dict[str, float]) -> Allotment | None:
    budgets = split(task, found, calls)
    if budgets is None or not fits(task, budgets):
        return None
    shares: list[Share] = []
    residuals: list[_Cycle] = []
    for stage, budget_s in budgets.items():
        left = calls[stage]
        best = saturated(found[stage], budget_s)
        if best is None:
            return None
        count = math.floor(left / best.per_s + ROUNDING)
        shares.append(share(best, count, min(left, count * best.per_s), budget_s))
        left -= count * best.per_s
        if left > ROUNDING * calls[stage]:
            residuals.append(_residual(found[stage], best, left, budget_s))
    return allotment("nexus", task, [*shares, *(each.share() for each in packed(residuals))], "squishy bin packing")


def saturated(found: Sequence[Server], budget_s: float) -> Server | None:
    """The largest batch that a call can wait for and run in: the one that carries most, of those."""
    able = [each for each in found if 2 * each.batch_s + each.link_s <= budget_s * (1 + ROUNDING)]
    return max(able, key=lambda each: each.per_s, default=None)


def split(task: Task, found: dict[str, list[Server]], calls: dict[str, float]) -> dict[str, float] | None:
    """Share the SLO out over the stages, in seconds, so that fewest devices are needed; None where it is too short."""
    budgets: dict[str, float] = {}
    for workload in task.workloads:
        of_one = _Split(workload, found, calls).budgets()
        if of_one is None:
            return None
        budgets |= of_one
    return budgets


class _Split:
    """The dynamic program of one pipeline."""

    def __init__(self, workload: Workload, found: dict[str, list[Server]], calls: dict[str, float]) -> None:
        paths = workload.graph.paths()
        self._parents = _parents(paths)
        self._times = {stage: max(path.count(stage) for path in paths) for stage in workload.graph.stages}
        self._step_s = workload.slo.latency_ms / 1e3 / STEPS
        self._found, self._calls = found, calls
        self._known: dict[tuple[str, int], tuple[float, int]] = {}

    def budgets(self) -> dict[str, float] | None:
        """Walk down from the first stages with what the whole SLO is best split into."""
        budgets = {}
        waiting = [(stage, STEPS) for stage, parent in self._parents.items() if parent is None]
        while waiting:
            stage, steps = waiting.pop()
            devices, own = self._least(stage, steps)
            if math.isinf(devices):
                return None
            budgets[stage] = own * self._step_s
            waiting += [(child, steps - own * self._times[stage]) for child in self._children(stage)]
        return budgets

    def _least(self, stage: str, steps: int) -> tuple[float, int]:
        """Devices of a stage and all that follows it, and the steps that the stage itself takes of these."""
        if (stage, steps) not in self._known:
            tried = [(math.inf, 0)]
            for own in range(1, steps // self._times[stage] + 1):
                after = steps - own * self._times[stage]
                best = saturated(self._found[stage], own * self._step_s)
                if best is not None:
                    following = sum(self._least(child, after)[0] for child in self._children(stage))
                    tried.append((self._calls[stage] / best.per_s + following, own))
            self._known[stage, steps] = min(tried)
        return self._known[stage, steps]

    def _children(self, stage: str) -> list[str]:
        return [child for child, parent in self._parents.items() if parent == stage]


def _parents(paths: Sequence[tuple[str, ...]]) -> dict[str, str | None]:
    """The stage that each follows, the one furthest from the start where there are several; None for the first ones."""
    found: dict[str, tuple[int, str | None]] = {}
    for path in paths:
        for at, stage in enumerate(dict.fromkeys(path)):
            before = list(dict.fromkeys(path))[at - 1] if at else None
            found[stage] = max(found.get(stage, (-1, None)), (at, before), key=lambda each: each[0])
    return {stage: parent for stage, (_, parent) in found.items()}


@dataclass(frozen=True, slots=True)
class _Session:
    """What is left over of a stage, by executor of a device."""

    server: Server
    batches: tuple[Server, ...]
    """The same model in every batch size."""
    per_s: float
    budget_s: float


@dataclass(frozen=True, slots=True)
class _Cycle:
    """A GPU that runs a batch of each of its sessions in every cycle."""

    duty_s: float
    sessions: tuple[_Session, ...]

    @property
    def occupancy(self) -> float:
        """Share of the cycle in which something runs."""
        return sum(each.server.batch_s for each in self.sessions) / self.duty_s

    def share(self) -> Share:
        """One device that runs these in turns."""
        hosts = tuple(host(each.server, each.per_s * each.server.abreast, each.budget_s) for each in self.sessions)
        return Share(group=self.sessions[0].server.option.group, count=1, hosts=hosts)


def _residual(found: Sequence[Server], best: Server, per_s: float, budget_s: float) -> _Cycle:
    """The largest batch that fills, and runs, within the budget; where none does, a device that waits for no batch."""
    for server in sorted(found, key=lambda each: -each.option.batch):
        rate = per_s / server.abreast
        duty_s = server.option.batch / rate
        if server.batch_s <= duty_s <= budget_s - server.latency_s:
            return _Cycle(duty_s, (_Session(server, tuple(found), rate, budget_s),))
    return _Cycle(best.batch_s, (_Session(best, (best,), per_s / best.abreast, budget_s),))


def packed(residuals: Sequence[_Cycle]) -> list[_Cycle]:
    """Merge cycles as far as they fit, the fullest first, each into the one that gets fullest."""
    bins: list[_Cycle] = []
    for each in sorted(residuals, key=lambda cycle: -cycle.occupancy):
        merged = [(at, both) for at, cycle in enumerate(bins) if (both := _merged(cycle, each)) is not None]
        if merged:
            at, both = max(merged, key=lambda pair: pair[1].occupancy)
            bins[at] = both
        else:
            bins.append(each)
    return bins


def _merged(one: _Cycle, other: _Cycle) -> _Cycle | None:
    """Both in the shorter cycle; None where they do not fit into it, or a call would be late."""
    duty_s = min(one.duty_s, other.duty_s)
    sessions = []
    for each in (*one.sessions, *other.sessions):
        batch = math.ceil(each.per_s * duty_s - ROUNDING)
        able = [server for server in each.batches if batch <= server.option.batch <= each.server.option.batch]
        if not able:
            return None
        server = min(able, key=lambda server: server.option.batch)
        if server.abreast != each.server.abreast or duty_s + server.latency_s > each.budget_s * (1 + ROUNDING):
            return None
        sessions.append(replace(each, server=server))
    both = _Cycle(duty_s, tuple(sessions))
    return both if both.occupancy <= 1 + ROUNDING else None
