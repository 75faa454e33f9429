"""The planner's mixed-integer linear program.

Variables: ``z`` (binary), one for every option; ``y`` (binary), the utilisation that is planned for, from a grid; ``m``
(binary), the power mode of a device; ``W`` the wait, ``T`` the latency, ``L`` the time that the busiest slot gives to a
request. With ``rho_r`` and ``k_r`` the grid and its wait factors (see `wait`):

    sum of z = 1                                       for every stage
    sum of y = 1
    latencies(z) + beside(z) + W <= T <= SLO           for every path
    k_r loads(z) - W <= M_r (1 - sum of y from r on)   for every r: who plans for a utilisation pays its wait
    work(z) / slots <= L                               for every device
    loads(z) <= L                                      for stages that must share a slot, and as `packing` finds out
    rate L <= sum of rho_r y_r
    memory(z) <= memory                                for every device
    log accuracy(z) >= log(floor / reference)
    z(mode) <= stages m, sum of m = 1                  for every device that has options in several power modes
    z(combination) <= stages - 1                       for every forbidden combination of variants

Least of cost; between plans within one part in ten thousand of that, of latency; among equals, by preference.
"""

import math
from collections import defaultdict
from enum import Enum

import numpy as np

from heterosis.planning.obstacles import possible
from heterosis.planning.packing import Packing
from heterosis.planning.problem import TOLERANCE, Limits, Problem
from heterosis.planning.solution import Solution
from heterosis.planning.solver import Program, Row

COST, LATENCY, INSTANCE, PREFERENCE = 1e3, 1e-1, 1e-2, 1e-4
"""Weights of the parts of the objective, each first brought to the order of 1; the solver's own tolerance is 1e-7.

Latency counts between plans whose costs differ by parts in ten thousand; one more instance must shorten it by a tenth.
"""

ACCURACY = 1e3
"""Weight of the row of accuracies, so that the solver's tolerance amounts to nothing that could be measured."""


class Goal(Enum):
    """What to have least of."""

    COST = "cost"
    LATENCY = "latency"
    LOAD = "load"
    INACCURACY = "inaccuracy"


def solve(
    problem: Problem, limits: Limits, goal: Goal = Goal.COST, *, cell: int | None = None, gap: float = 0.0
) -> Solution | None:
    """Return the best choice within the limits, or None where there is none.

    ``cell`` fixes the utilisation that is planned for to one of the problem's grid; ``gap`` is how much worse than the
    best the answer may be, relative.
    """
    reduced = possible(problem, limits)
    if not all(reduced.candidates.values()):
        return None
    formulation = _Formulation(reduced, limits)
    if cell is not None:
        formulation.program.lower[formulation.cells.start + cell] = 1
    cost = formulation.cost(goal, problem.scale)
    while (values := formulation.program.minimise(cost, gap)) is not None:
        taken = [option for option, value in zip(formulation.options, values, strict=False) if value > 1 / 2]
        solution = Solution(problem, {option.stage: option for option in taken})
        promised_ms = values[formulation.load] if goal is Goal.LOAD else formulation.most_load_ms(values)
        if solution.load_ms <= promised_ms * (1 + max(gap, TOLERANCE)):
            return solution
        for packing in solution.packings:
            formulation.keep_packing(packing)
    return None


class _Formulation:
    """A problem as a program. Columns: z, y, m, then W, T and L."""

    def __init__(self, problem: Problem, limits: Limits) -> None:
        self.problem, self.limits = problem, limits
        self.options = [option for options in problem.candidates.values() for option in options]
        self.stage = np.array([option.stage for option in self.options])
        self.device = np.array([f"{option.node}/{option.device.name}" for option in self.options])
        self.mode = np.array([option.configuration.power_mode for option in self.options])
        self.slots = np.array([option.slots for option in self.options])
        self.load_ms = np.array([option.load_ms for option in self.options])
        self.devices = {name: option.device for name, option in zip(self.device, self.options, strict=True)}
        self.modes = [
            (device, mode)
            for device in self.devices
            for mode in np.unique(self.mode[self.device == device])
            if len(np.unique(self.mode[self.device == device])) > 1
        ]
        self.cells = slice(len(self.options), len(self.options) + len(problem.grid))
        integers = self.cells.stop + len(self.modes)
        self.wait, self.latency, self.load = range(integers, integers + 3)
        upper = np.ones(integers + 3)
        upper[integers:] = math.inf, limits.latency_ms, math.inf
        self.program = Program(np.zeros(integers + 3), upper, integers)
        self._choose()
        self._keep_latency()
        self._keep_rate()
        self._keep_memory()
        self._keep_accuracy()
        self._keep_modes()

    def _row(self, of_options: Row) -> Row:
        """Return a row with these coefficients for the options, and none yet for the other columns."""
        row = self.program.row()
        row[: len(of_options)] = of_options
        return row

    def _choose(self) -> None:
        for stage in self.problem.candidates:
            self.program.add(self._row(self.stage == stage), 1, 1)
        row = self.program.row()
        row[self.cells] = 1
        self.program.add(row, 1, 1)

    def _keep_latency(self) -> None:
        for path, beside in self.problem.paths.items():
            along = [path.count(each.stage) * each.latency_ms for each in self.options]
            others = [(each.stage in beside) * each.beside_ms for each in self.options]
            row = self._row(np.array(along) + np.array(others))
            row[[self.wait, self.latency]] = 1, -1
            self.program.add(row, upper=-self.problem.overhead.wall_ms)
        greatest = sum(self.load_ms[self.stage == stage].max() for stage in self.problem.candidates)
        for number, (_, factor) in enumerate(self.problem.grid, self.cells.start):
            if factor:
                row = self._row(factor * self.load_ms)
                row[self.wait] = -1
                row[number : self.cells.stop] = factor * greatest
                self.program.add(row, upper=factor * greatest)

    def _keep_rate(self) -> None:
        work_ms = self.load_ms * self.slots
        for name, device in self.devices.items():
            here = self.device == name
            self._carry(here * work_ms / device.slots)
            for stage in self.problem.candidates:
                for least in range(1, device.slots // 2 + 2):
                    self._carry(here * self._overlapping(stage, least, device.slots) * self.load_ms)
        row = self.program.row()
        row[self.load] = self.limits.rate_rps / 1e3
        row[self.cells] = [-rho for rho, _ in self.problem.grid]
        self.program.add(row, upper=0)

    def _overlapping(self, stage: str, least: int, slots: int) -> Row:
        """Return which options are a stage's of so many slots, or others' that must overlap with it and each other.

        Runs of slots that overlap pairwise have a slot in common.
        """
        own = (self.stage == stage) & (self.slots >= least)
        others = (self.stage != stage) & (self.slots > slots - least) & (self.slots > slots // 2)
        return np.asarray(own | others, dtype=float)

    def _carry(self, load_ms: Row, spare_ms: float = 0.0) -> None:
        """Have some slot carry the loads of those options that are chosen, less what is to spare."""
        row = self._row(load_ms)
        row[self.load] = -1
        self.program.add(row, upper=spare_ms - self.problem.overhead.slot_ms)

    def most_load_ms(self, values: Row) -> float:
        """Return the time that a slot may give to a request at the utilisation planned for."""
        rho = float(values[self.cells] @ [rho for rho, _ in self.problem.grid])
        return 1e3 * rho / self.limits.rate_rps if self.limits.rate_rps else math.inf

    def keep_packing(self, packing: Packing) -> None:
        """Learn that options of as many slots, as busy, cannot be packed any better than these.

        A logic-based Benders cut (Hooker and Ottosson 2003).
        """
        heavy = np.zeros(len(self.options))
        for known in packing.options:
            here = (self.stage == known.stage) & (self.device == f"{known.node}/{known.device.name}")
            heavy += here & (self.slots >= known.slots) & (self.load_ms >= known.load_ms)
        self._carry(packing.load_ms * heavy, spare_ms=packing.load_ms * (len(packing.options) - 1))

    def _keep_memory(self) -> None:
        if not self.limits.memory:
            return
        memory_bytes = np.array([option.memory_bytes for option in self.options])
        for name, device in self.devices.items():
            if device.memory_bytes:
                self.program.add(self._row((self.device == name) * memory_bytes / device.memory_bytes), upper=1)

    def _keep_accuracy(self) -> None:
        floor, reference = self.limits.min_accuracy, self.problem.reference_accuracy
        if floor and reference:
            row = self._row(ACCURACY * self._log_accuracy())
            self.program.add(row, lower=ACCURACY * math.log(floor / reference))
        for combination in self.limits.forbidden:
            of = [(option.stage, option.variant.name) in combination for option in self.options]
            self.program.add(self._row(np.array(of)), upper=len(combination) - 1)

    def _log_accuracy(self) -> Row:
        return np.log([max(option.relative_accuracy, 1e-9) for option in self.options])

    def _keep_modes(self) -> None:
        total: dict[str, Row] = defaultdict(self.program.row)
        for column, (device, mode) in enumerate(self.modes, self.cells.stop):
            row = self._row((self.device == device) & (self.mode == mode))
            row[column] = -len(self.problem.candidates)
            self.program.add(row, upper=0)
            total[device][column] = 1
        for row in total.values():
            self.program.add(row, 1, 1)

    def cost(self, goal: Goal, scale: tuple[float, float]) -> Row:
        """Return what each column costs towards a goal; ``scale`` is a typical cost and latency."""
        if goal is Goal.INACCURACY:
            return self._row(-self._log_accuracy())
        cost = self.program.row()
        if goal is Goal.LATENCY:
            cost[self.latency] = 1
        elif goal is Goal.LOAD:
            cost[self.load] = 1
        else:
            costs = np.array([self.problem.objective.of(option) for option in self.options])
            instances = np.array([option.instances for option in self.options])
            preference = np.arange(len(self.options)) / len(self.options)
            cost = self._row(COST * costs / scale[0] + INSTANCE * instances + PREFERENCE * preference)
            cost[self.latency] = LATENCY / scale[1]
        return cost
