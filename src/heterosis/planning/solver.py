"""Mixed-integer linear programs, on HiGHS."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterosis.terms.errors import HeterosisError

Row = NDArray[np.float64]

MOST_NODES = 100_000
MOST_WORK = 3e7
"""Nodes times columns: a node of a large program takes longer, and a search that finds no end is to stop as soon."""


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """An optimum of a program whose integers may be any numbers."""

    cost: float
    values: Row
    row_prices: Row
    """For each row, what one more unit of its limit would add to the cost; 0 where it does not bind."""
    reduced_costs: Row
    """For each column at one of its bounds, what one unit away from there would add to the cost."""


@dataclass
class Program:
    """Minimise over columns between their bounds, rows between theirs; the first ``integers`` columns are integers."""

    lower: Row
    upper: Row
    integers: int
    rows: list[tuple[NDArray[np.intp], Row]] = field(default_factory=list)
    """The columns of each row that are not 0, and their coefficients."""
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)

    def row(self) -> Row:
        """Return an empty row."""
        return np.zeros(len(self.lower))

    def add(self, row: Row | Mapping[int, float], lower: float = -math.inf, upper: float = math.inf) -> None:
        """Require a row, given whole or by the columns that are not 0."""
        if isinstance(row, Mapping):
            self.rows.append((np.fromiter(row, np.intp, len(row)), np.fromiter(row.values(), float, len(row))))
        else:
            columns = np.flatnonzero(row)
            self.rows.append((columns, row[columns]))
        self.row_lower.append(lower)
        self.row_upper.append(upper)

    def minimise(self, cost: Row, gap: float = 0.0, *, presolve: bool = False) -> Row | None:
        """Return the columns' values at the optimum, or None where the rows contradict each other.

        Reproducible: one thread, a fixed seed, and it stops by gap and nodes, never by a clock: a machine that is busy,
        or a process that is suspended meanwhile, changes no answer. Past the nodes the best found stands, and where
        nothing was found HeterosisError is raised. ``presolve`` pays on programs of thousands of columns only.
        """
        import highspy

        highs = self._solver(highspy, cost, {**_OPTIONS, **(_PRESOLVED if presolve else {}), "mip_rel_gap": gap})
        highs.run()
        status = highs.getModelStatus()
        if status in {highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible}:
            return None
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            raise HeterosisError(
                f"HiGHS stopped without an answer ({highs.modelStatusToString(status)}) on {len(cost)} columns and "
                f"{len(self.rows)} rows; plan with fewer variants, batch sizes or thread counts"
            )
        return np.array(highs.getSolution().col_value)

    def bound(self, cost: Row, gap: float) -> float | None:
        """Return a cost that the optimum is not below, and above by no more than ``gap``; None where there is none."""
        import highspy

        highs = self._solver(highspy, cost, {**_OPTIONS, **_PRESOLVED, "mip_rel_gap": gap})
        highs.run()
        if highs.getModelStatus() in {highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnbounded}:
            return None
        return float(highs.getInfo().mip_dual_bound)

    def relaxed(self, cost: Row) -> Relaxation | None:
        """Return the optimum if integers might be any numbers, with its prices; None where there is none."""
        import highspy

        highs = self._solver(highspy, cost, {"output_flag": False, "solve_relaxation": True})
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        found = highs.getSolution()
        return Relaxation(
            cost=float(highs.getInfo().objective_function_value),
            values=np.array(found.col_value),
            row_prices=np.array(found.row_dual),
            reduced_costs=np.array(found.col_dual),
        )

    def _solver(self, highspy: Any, cost: Row, options: Mapping[str, Any]) -> Any:
        highs: Any = highspy.Highs()
        for option, value in options.items():
            highs.setOptionValue(option, value)
        highs.setOptionValue("mip_max_nodes", min(MOST_NODES, int(MOST_WORK / len(cost))))
        highs.passModel(self._model(highspy, cost))
        return highs

    def _model(self, highspy: Any, cost: Row) -> Any:
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = len(self.rows), len(cost)
        model.col_cost_, model.col_lower_, model.col_upper_ = cost, self.lower, self.upper
        model.row_lower_, model.row_upper_ = np.array(self.row_lower), np.array(self.row_upper)
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.start_ = np.cumsum([0, *(len(columns) for columns, _ in self.rows)])
        matrix.index_ = np.concatenate([columns for columns, _ in self.rows])
        matrix.value_ = np.concatenate([values for _, values in self.rows])
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger] * self.integers + [kinds.kContinuous] * (len(cost) - self.integers)
        return model


_OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "parallel": "off",
    "random_seed": 0,
    "mip_abs_gap": 1e-7,
    # On programs as small as ours, these take longer than the search that they would shorten.
    "presolve": "off",
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
}

_PRESOLVED: dict[str, Any] = {"presolve": "on", "mip_heuristic_run_rins": True, "mip_heuristic_run_rens": True}
