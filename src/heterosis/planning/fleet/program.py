"""The mixed-integer linear program of a fleet: its size grows with kinds of devices, not with devices.

Variables: ``u`` (integer), devices of a group that are on; ``b`` (binary), which of a stage's latencies is its budget;
``c``, the share of a pipeline's requests that a choice of variants serves (binary, unless they may be mixed); ``x``,
calls per second of each option; ``s``, devices that must be started. For kinds, groups, stages, levels and options:

    sum of u over a kind's modes <= devices of the kind
    sum of c = 1                                               for every pipeline, or stage of it (see `choices`)
    sum of x of a variant = calls per second that c demands    for every stage and variant
    sum of x slot_s / utilisation <= slots u                   for every group
    sum of x / demand times devices of its servers <= u        for every stage and group
    sum of x bits <= most bits per second of the links of u    for every group behind a link of limited bandwidth
    sum of b = 1, sum of x slower than level j <= demand (b of the levels above j)     for every stage and level
    sum of budgets along a path <= SLO less the server's own   for every path of every pipeline
    accuracy(c) >= floor                                       for every pipeline, or class of it, that has one
    memory of the options in use <= memory                     where not all fit (with binaries ``z >= x / demand``)
    s >= u - devices on now

A device that is on hosts every option of its group, in turns. Where memory keeps it from that, the group is split into
parts that may host different things.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from heterosis.planning.fleet.allotment import Allotment, ClassAccuracy, Hosted, Share, on_power_w
from heterosis.planning.fleet.choices import Choices, choices
from heterosis.planning.fleet.options import Group, Option
from heterosis.planning.fleet.task import OTHERS, Objective, Task
from heterosis.planning.solver import Program, Relaxation, Row
from heterosis.terms.errors import UsageError

LARGE = 1500
"""Columns from which presolve pays, and an answer a thousandth above the best is good enough."""
SMALL_GAP, LARGE_GAP = 1e-7, 1e-3
EQUALLY_GOOD = 1e-4
"""What a later objective may worsen those before it by, relative."""
NOTHING = 1e-7
"""Calls per second, relative to a stage's demand, that are none but for rounding."""

LINK_SHARE = 0.8
"""Of a link's bandwidth, what calls may take: the plan does not count waits for a link."""

Part = tuple[Group, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an answer must keep; to see which of them binds, some are lifted."""

    latency: float = 1.0
    """Of the SLO, the share that budgets may add up to. Infinite: no limit."""
    devices: bool = True
    accuracy: bool = True
    memory: bool = True
    every_configuration: bool = False
    """Whether memory is kept as if a device might host all configurations of a stage, rather than its largest."""


class FleetProgram:
    """A task as a program."""

    def __init__(self, task: Task, options: Sequence[Option], limits: Limits) -> None:
        """Take the options that may be used."""
        self.task, self.limits = task, limits
        self.usable = {
            stage: tuple(dict.fromkeys(each.variant.name for each in options if each.stage == stage))
            for stage in task.stages
        }
        self.choices = {number: self._choices(number) for number in range(len(task.workloads))}
        wanted = {key for of in self.choices.values() for each in of.columns for key in each.calls_per_s}
        self.tight = self._tight(options, every=limits.every_configuration) if limits.memory else set()
        parts = [(each, part) for each in options for part in range(self._parts(each.group))]
        self.columns_of: list[tuple[Option, Part]] = [
            (each, (each.group, part)) for each, part in parts if (each.stage, each.variant.name) in wanted
        ]
        self.parts: list[Part] = sorted({part for _, part in self.columns_of})
        self.demand = self._demand()
        self.levels = {stage: self._levels(stage) for stage in task.stages}
        """Latencies that a stage's budget may be, in seconds, ascending."""
        self._lay_out()
        self._add_rows()

    # --- columns

    def _choices(self, number: int) -> Choices:
        return choices(self.task.workloads[number], self.usable, mix=self.task.mix)

    def _parts(self, group: Group) -> int:
        """Into how many parts a group is split."""
        return min(len(self.task.stages), len(self.task.kinds[group[0]].units)) if group in self.tight else 1

    def _tight(self, options: Iterable[Option], *, every: bool) -> set[Group]:
        """Groups with too little memory for what they might host: every configuration, or each stage's largest."""
        sizes: dict[Group, dict[object, int]] = defaultdict(dict)
        for each in options:
            key = each.configuration if every else each.stage
            sizes[each.group][key] = max(each.memory_bytes, sizes[each.group].get(key, 0))
        memory = {group: self.task.kinds[group[0]].memory_bytes for group in sizes}
        return {group for group, of in sizes.items() if sum(of.values()) > (memory[group] or math.inf)}

    def _demand(self) -> dict[str, float]:
        """The most calls per second that a stage can be asked for."""
        found = dict.fromkeys(self.task.stages, 0.0)
        for of in self.choices.values():
            found |= of.most_calls_per_s()
        return found

    def _levels(self, stage: str) -> list[float]:
        return sorted({option.latency_s for option, _ in self.columns_of if option.stage == stage})

    def _lay_out(self) -> None:
        """Number the columns: integers first."""
        self.on = {part: number for number, part in enumerate(self.parts)}
        at = len(self.parts)
        self.budget: dict[str, range] = {}
        for stage, levels in self.levels.items():
            self.budget[stage] = range(at, at + len(levels))
            at += len(levels)
        self.chosen: dict[int, range] = {}
        self.used: dict[int, int] = {}
        if not self.task.mix:
            at = self._lay_out_choices(at)
        for number, (option, _) in enumerate(self.columns_of):
            if option.group in self.tight:
                self.used[number] = at
                at += 1
        integers = at
        if self.task.mix:
            at = self._lay_out_choices(at)
        self.flow = range(at, at + len(self.columns_of))
        self.started = range(self.flow.stop, self.flow.stop + len(self.parts))
        upper = np.full(self.started.stop, math.inf)
        for part, column in self.on.items():
            upper[column] = len(self.task.kinds[part[0][0]].units) if self.limits.devices else math.inf
        for columns in (*self.budget.values(), *self.chosen.values(), list(self.used.values())):
            upper[list(columns)] = 1
        self.program = Program(np.zeros(self.started.stop), upper, integers)

    def _lay_out_choices(self, at: int) -> int:
        for number, of in self.choices.items():
            self.chosen[number] = range(at, at + len(of.columns))
            at += len(of.columns)
        return at

    # --- rows

    def _add_rows(self) -> None:
        self._keep_inventory()
        self._choose()
        self._serve()
        self._keep_latency()
        self._keep_memory()
        for part, column in self.started_of():
            now = self.task.now.get((self.task.kinds[part[0][0]].type.name, part[0][1]), 0)
            self.program.add({self.on[part]: 1, column: -1}, upper=now if part[1] == 0 else 0)

    def started_of(self) -> Iterable[tuple[Part, int]]:
        """The column of the devices to start, for every part."""
        return zip(self.parts, self.started, strict=True)

    def _keep_inventory(self) -> None:
        self.inventory_rows: dict[int, int] = {}
        if not self.limits.devices:
            return
        for number, kind in enumerate(self.task.kinds):
            columns = {self.on[part]: 1.0 for part in self.parts if part[0][0] == number}
            if columns:
                self.inventory_rows[number] = len(self.program.rows)
                self.program.add(columns, upper=len(kind.units))

    def _choose(self) -> None:
        self.accuracy_rows: dict[int, int] = {}
        """By pipeline: of the requests that are of no class with a floor of its own."""
        for number, of in self.choices.items():
            at = self.chosen[number].start
            for columns in of.sums:
                self.program.add({at + column: 1.0 for column in columns}, 1, 1)
            for name, columns, floor in of.floors:
                if self.limits.accuracy and floor is not None:
                    if name == OTHERS:
                        self.accuracy_rows[number] = len(self.program.rows)
                    self.program.add({at + column: of.columns[column].accuracy for column in columns}, floor - 1e-9)

    def _serve(self) -> None:
        flows: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        busy: dict[Part, dict[int, float]] = defaultdict(dict)
        for column, (option, part) in zip(self.flow, self.columns_of, strict=True):
            flows[option.stage, option.variant.name][column] = 1.0
            busy[part][column] = option.device_s
        for number, of in self.choices.items():
            for column, each in zip(self.chosen[number], of.columns, strict=True):
                for key, per_s in each.calls_per_s.items():
                    flows[key][column] = -per_s
        self.demand_rows = {}
        for key, row in flows.items():
            self.demand_rows[key] = len(self.program.rows)
            self.program.add(row, 0, 0)
        for part, row in busy.items():
            self.program.add({**row, self.on[part]: -float(self.task.kinds[part[0][0]].slots)}, upper=0)
        self._keep_servers()
        self._keep_links()

    def _keep_links(self) -> None:
        """Devices of a node share its link."""
        bits: dict[Part, dict[int, float]] = defaultdict(dict)
        for column, (option, part) in zip(self.flow, self.columns_of, strict=True):
            item_bytes = self.task.stages[option.stage].graph.input_bytes.get(option.stage, 0.0)
            if item_bytes and self.task.kinds[part[0][0]].bandwidth_mbit_s:
                bits[part][column] = 8 * item_bytes / 1e6
        for part, row in bits.items():
            kind = self.task.kinds[part[0][0]]
            each = LINK_SHARE * (kind.bandwidth_mbit_s or 0.0) * kind.links / len(kind.units)
            self.program.add({**row, self.on[part]: -each}, upper=0)

    def _keep_servers(self) -> None:
        spread: dict[tuple[str, Part], dict[int, float]] = defaultdict(dict)
        for column, (option, part) in zip(self.flow, self.columns_of, strict=True):
            abreast = self.task.kinds[part[0][0]].slots // option.configuration.threads
            spread[option.stage, part][column] = option.servers / abreast / self.demand[option.stage]
        for (_, part), row in spread.items():
            if any(row.values()):
                self.program.add({**row, self.on[part]: -1.0}, upper=0)

    def _keep_latency(self) -> None:
        slowest: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for column, (option, _) in zip(self.flow, self.columns_of, strict=True):
            slowest[option.stage].append((-option.latency_s, column))
        for stage, levels in self.levels.items():
            columns = self.budget[stage]
            self.program.add(dict.fromkeys(columns, 1.0), 1, 1)
            slower = sorted(slowest[stage])
            for number, level in enumerate(levels[:-1]):
                row = {column: 1.0 for _, column in slower[: bisect_left(slower, (-level, -1))]}
                row.update(dict.fromkeys(columns[number + 1 :], -self.demand[stage]))
                self.program.add(row, upper=0)
        self.path_rows: dict[int, list[int]] = defaultdict(list)
        if math.isinf(self.limits.latency):
            return
        for number, workload in enumerate(self.task.workloads):
            for path in workload.graph.paths():
                row = {
                    column: path.count(stage) * level
                    for stage in set(path)
                    for column, level in zip(self.budget[stage], self.levels[stage], strict=True)
                }
                self.path_rows[number].append(len(self.program.rows))
                budget_ms = self.limits.latency * workload.slo.latency_ms - self.task.overhead.wall_ms
                self.program.add(row, upper=budget_ms / 1e3)

    def _keep_memory(self) -> None:
        memory: dict[Part, dict[int, float]] = defaultdict(dict)
        for number, column in self.used.items():
            option, part = self.columns_of[number]
            self.program.add({self.flow[number]: 1.0, column: -self.demand[option.stage]}, upper=0)
            memory[part][column] = option.memory_bytes / 1e6
        for part, row in memory.items():
            self.program.add(row, upper=(self.task.kinds[part[0][0]].memory_bytes or 0) / 1e6)

    # --- objectives

    def cost(self, objective: Objective) -> Row:
        """What each column costs: watts, price or grams of CO2 per hour, devices, accuracy lost, or busy slots."""
        cost = self.program.row()
        if objective is Objective.ACCURACY:
            total = sum(workload.rate_rps for workload in self.task.workloads)
            for number, of in self.choices.items():
                for column, each in zip(self.chosen[number], of.columns, strict=True):
                    cost[column] = -each.accuracy * each.share * self.task.workloads[number].rate_rps / total
            return cost
        for column, (option, _) in zip(self.flow, self.columns_of, strict=True):
            cost[column] = self._of_call(objective, option)
        for part, column in self.on.items():
            cost[column] = self._of_device(objective, part[0])
        if objective in {Objective.ENERGY, Objective.CARBON}:
            factor = self._of_joule(objective)
            for part, column in self.started_of():
                cost[column] = factor * self._start_j(part) / self.task.horizon_s
        return cost

    def _of_call(self, objective: Objective, option: Option) -> float:
        if objective is Objective.BUSY:
            return option.slot_s
        if objective not in {Objective.ENERGY, Objective.CARBON}:
            return 0.0
        if option.energy_j is None:
            raise _unknown(f"the energy of {option.variant.name} on {option.configuration.device_type}")
        return self._of_joule(objective) * option.energy_j

    def _of_device(self, objective: Objective, group: Group) -> float:
        kind = self.task.kinds[group[0]].type
        if objective is Objective.DEVICES:
            return 1.0
        if objective is Objective.BUSY:
            return 0.0
        if objective is Objective.PRICE:
            if kind.price_per_hour is None:
                raise _unknown(f"the price of {kind.name}")
            return kind.price_per_hour
        watts = on_power_w(self.task, group)
        if watts is None:
            raise _unknown(f"the idle power of {kind.name} in mode {group[1]}")
        return self._of_joule(objective) * watts

    def _of_joule(self, objective: Objective) -> float:
        """Of a joule a second: itself, or the grams of CO2 an hour that it makes."""
        return (self.task.carbon_g_per_kwh or 0.0) / 1e3 if objective is Objective.CARBON else 1.0

    def _start_j(self, part: Part) -> float:
        """Energy to wake a device and load on it one option of each stage."""
        kind = self.task.kinds[part[0][0]].type
        loads: dict[str, float] = {}
        for option, of in self.columns_of:
            if of == part:
                loads[option.stage] = min(option.load_j, loads.get(option.stage, math.inf))
        idle_w = self.task.kinds[part[0][0]].device.idle_power_w(part[0][1]) or 0.0
        return idle_w * kind.wake_ms / 1e3 + sum(loads.values())

    # --- answers

    def solve(self) -> tuple[Allotment, float] | None:
        """The best answer and its cost by the first objective; None where the limits contradict each other."""
        if not self.possible:
            return None
        large = len(self.program.lower) > LARGE
        gap = LARGE_GAP if large else SMALL_GAP
        first = math.nan
        values: Row | None = None
        for number, objective in enumerate(self.task.objectives):
            cost = self.cost(objective)
            values = self.program.minimise(cost, gap, presolve=large)
            if values is None:
                return None
            reached = float(cost @ values)
            first = first if number else reached
            slack = EQUALLY_GOOD * abs(reached) + 1e-9
            self.program.add(cost, upper=reached + slack)
        assert values is not None  # noqa: S101 - a task has at least one objective
        return self._allotment(values), first

    def relaxed(self, objective: Objective) -> Relaxation | None:
        """The optimum if devices and choices could be divided: a lower bound, with prices."""
        return self.program.relaxed(self.cost(objective)) if self.possible else None

    @property
    def possible(self) -> bool:
        """Whether every stage has an option, and every pipeline a choice of variants."""
        return all(self.levels.values()) and all(of.columns and all(of.sums) for of in self.choices.values())

    def _allotment(self, values: Row) -> Allotment:
        shares = []
        for part in self.parts:
            count = round(values[self.on[part]])
            hosts: dict[tuple[object, int, float], Hosted] = {}
            for column, (option, of) in zip(self.flow, self.columns_of, strict=True):
                if of == part and values[column] > NOTHING * self.demand[option.stage]:
                    # Options that differ in how busy the devices may be are one; the slower speaks for both.
                    key = (option.configuration, option.batch, option.fill_s)
                    same = hosts.get(key)
                    slower = option if same is None or same.option.latency_s < option.latency_s else same.option
                    per_s = float(values[column]) + (0.0 if same is None else same.per_s)
                    hosts[key] = Hosted(option=slower, per_s=per_s)
            if count and hosts:
                shares.append(Share(group=part[0], count=count, hosts=tuple(hosts.values())))
        return Allotment(planner="heterosis", shares=tuple(shares), class_accuracies=tuple(self._by_class(values)))

    def _by_class(self, values: Row) -> Iterable[ClassAccuracy]:
        """What each stage's calls come to, by class, where there are classes with floors of their own."""
        for number, of in self.choices.items():
            if len(of.floors) == 1:
                continue
            workload = self.task.workloads[number]
            for name, columns, _ in of.floors:
                sums: dict[str, list[tuple[float, float]]] = defaultdict(list)
                for column in columns:
                    chosen = float(values[self.chosen[number][column]])
                    for (stage, variant), per_s in of.columns[column].calls_per_s.items():
                        accuracy = workload.variant(stage, variant).accuracy
                        if accuracy is not None:
                            sums[stage].append((chosen * per_s, accuracy))
                for stage, parts in sums.items():
                    total = sum(per_s for per_s, _ in parts)
                    mean = sum(per_s * accuracy for per_s, accuracy in parts) / total
                    yield ClassAccuracy(stage=stage, request_class=name, accuracy=mean)


def _unknown(what: str) -> UsageError:
    return UsageError(f"{what} is unknown; plan for another objective, such as busy or devices, or add the figure")
