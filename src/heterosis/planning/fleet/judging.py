"""Why each option of a fleet was, or was not, taken."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from heterosis.planning.fleet.options import Group, Option, enumerate_options
from heterosis.planning.fleet.planner import Answer
from heterosis.planning.fleet.program import FleetProgram
from heterosis.planning.fleet.task import Task, Workload
from heterosis.planning.solver import Relaxation
from heterosis.terms import Configuration
from heterosis.terms import Option as Judged

NOTHING = 1e-6
"""A reduced cost that is none but for rounding."""

Alike = tuple[Configuration, int]
"""Options of one configuration and batch size, which differ in how busy, how spread and how patient they are."""


def judged(
    task: Task, answer: Answer, options: Sequence[Option], program: FleetProgram, relaxed: Relaxation, unit: str
) -> Iterator[Judged]:
    """Give every option of every stage with the reason for which it was, or was not, taken.

    ``options`` are those that no other makes superfluous, ``program`` chose among those of them near the answer, and
    ``unit`` is that of the cost. Options that differ in more than configuration and batch size count as one.
    """
    judge = _Judge(task, answer, options, program, relaxed, unit)
    groups: dict[Alike, list[Option]] = defaultdict(list)
    for option in enumerate_options(task):
        groups[option.configuration, option.batch].append(option)
    for (configuration, batch), alike in groups.items():
        chosen, reason = judge.of(alike)
        yield Judged(stage=configuration.stage, configuration=configuration, batch=batch, chosen=chosen, reason=reason)
    yield from _too_large(task, groups)


class _Judge:
    """What is known of a plan, to judge options by."""

    def __init__(
        self,
        task: Task,
        answer: Answer,
        options: Sequence[Option],
        program: FleetProgram,
        relaxed: Relaxation,
        unit: str,
    ) -> None:
        self.task, self.answer, self.unit = task, answer, unit
        self.kept: dict[tuple[str, Group], list[Option]] = defaultdict(list)
        for option in options:
            self.kept[option.stage, option.group].append(option)
        self.fastest_s = {
            stage: min(each.latency_s for each in options if each.stage == stage) for stage in task.stages
        }
        self.budgets_s = answer.allotment.budgets_s(task)
        self.dearer = _dearer(program, relaxed)

    def of(self, alike: Sequence[Option]) -> tuple[bool, str]:
        """Whether options that count as one were taken, and why."""
        first = alike[0]
        per_s = sum(
            host.per_s
            for host in self.answer.allotment.hosted(first.stage)
            if (host.option.configuration, host.option.batch) == (first.configuration, first.batch)
        )
        if per_s:
            return True, f"taken for {per_s:.3g} calls/s"
        workload = self.task.stages[first.stage]
        return False, self._inaccurate(workload, first) or self._slow(workload, alike) or self._costly(alike)

    def _inaccurate(self, workload: Workload, option: Option) -> str:
        """Say if its variant is below the floor even with the best of the other stages."""
        floor = workload.slo.min_accuracy
        if floor is None or self.task.mix:
            return ""
        if workload.judge is not None:
            names = {stage: tuple(each.name for each in workload.variants.of(stage)) for stage in workload.graph.stages}
            listed = workload.combinations({**names, option.stage: (option.variant.name,)}) or []
            best = max(map(workload.accuracy, listed), default=math.inf)
        else:
            best = workload.variants.reference_accuracy or 1.0
            for stage in workload.graph.stages:
                rivals = [option.variant] if stage == option.stage else workload.variants.of(stage)
                best *= max(map(workload.relative_accuracy, rivals))
        return f"below the accuracy floor: {best:.4g} at best, {floor:.4g} asked for" if best < floor - NOTHING else ""

    def _slow(self, workload: Workload, alike: Sequence[Option]) -> str:
        """Say if the stage's budget cannot be as long as it takes."""
        stage, least_s = alike[0].stage, min(each.latency_s for each in alike)
        limit_s = self.answer.latency * workload.slo.latency_ms / 1e3
        for path in workload.graph.paths():
            others_s = sum(self.fastest_s[each] for each in path if each != stage)
            most_s = (limit_s - others_s) / max(path.count(stage), 1)
            if stage in path and least_s > most_s:
                return f"too slow: {1e3 * least_s:.0f} ms, and other stages leave {1e3 * most_s:.0f} ms at most"
        return ""

    def _costly(self, alike: Sequence[Option]) -> str:
        """Say what it would cost, or what is as good."""
        first = alike[0]
        rest = self.kept[first.stage, first.group]
        left = [each for each in alike if any(each is kept or each == kept for kept in rest)]
        if not left:
            better = next((kept for kept in rest if all(_as_good(kept, each) for each in alike[:1])), None)
            return f"dominated by {_place(better)}" if better else "dominated by several others"
        dearer = self.dearer.get((first.configuration, first.batch))
        if dearer is not None and dearer > NOTHING:
            return f"would cost {dearer:.3g} {self.unit} more for each call/s"
        budget_s, least_s = self.budgets_s[first.stage], min(each.latency_s for each in alike)
        if least_s > budget_s:
            return f"slower than the stage's budget: {1e3 * least_s:.0f} of {1e3 * budget_s:.0f} ms"
        if dearer is None:
            return "within the stage's budget no better than others on this device"
        return "as good as those taken if devices could be divided; as they cannot, others fill them better"


def _dearer(program: FleetProgram, relaxed: Relaxation) -> dict[Alike, float]:
    """What a call per second by an option would add to the cost of the relaxation, with what its variant adds."""
    of_variant: dict[tuple[str, str], float] = {}
    for number, of in program.choices.items():
        for column, each in zip(program.chosen[number], of.columns, strict=True):
            for key, per_s in each.calls_per_s.items():
                added = max(float(relaxed.reduced_costs[column]), 0.0) / per_s
                of_variant[key] = min(added, of_variant.get(key, math.inf))
    found: dict[Alike, float] = {}
    for column, (option, _) in zip(program.flow, program.columns_of, strict=True):
        added = float(relaxed.reduced_costs[column]) + of_variant[option.stage, option.variant.name]
        alike = (option.configuration, option.batch)
        found[alike] = min(added, found.get(alike, math.inf))
    return found


def _as_good(one: Option, other: Option) -> bool:
    """Whether one is as good as another in all that counts (see `options.undominated`)."""
    return (
        (one.energy_j or 0.0) <= (other.energy_j or 0.0)
        and one.device_s <= other.device_s
        and one.slots <= other.slots
        and one.latency_s <= other.latency_s
        and one.memory_bytes <= other.memory_bytes
        and (one.variant.accuracy or 0.0) >= (other.variant.accuracy or 0.0)
    )


def _place(option: Option) -> str:
    return f"{option.variant.name} in batches of {option.batch}"


def _too_large(task: Task, known: dict[Alike, list[Option]]) -> Iterator[Judged]:
    """Points of devices of the fleet that are no options, since no such device has the memory."""
    largest: dict[str, int] = {}
    for kind in task.kinds:
        if kind.memory_bytes is not None:
            largest[kind.type.name] = max(kind.memory_bytes, largest.get(kind.type.name, 0))
    for workload in task.workloads:
        for point in workload.profile.points:
            most = largest.get(point.configuration.device_type)
            if most is not None and point.memory_bytes > most and (point.configuration, point.batch) not in known:
                yield Judged(
                    stage=point.configuration.stage,
                    configuration=point.configuration,
                    batch=point.batch,
                    chosen=False,
                    reason=f"needs {point.memory_bytes / 1e6:.0f} MB, the device has {most / 1e6:.0f} MB",
                )
