"""Mixed-integer linear programs, on HiGHS."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heterosis.terms.errors import HeterosisError

Row = NDArray[np.float64]

MOST_NODES = 100_000
SAFETY_NET_S = 120.0


@dataclass
class Program:
    """Minimise over columns between their bounds, rows between theirs; the first ``integers`` columns are integers."""

    lower: Row
    upper: Row
    integers: int
    rows: list[Row] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)

    def row(self) -> Row:
        """Return an empty row."""
        return np.zeros(len(self.lower))

    def add(self, row: Row, lower: float = -math.inf, upper: float = math.inf) -> None:
        """Require a row."""
        self.rows.append(row)
        self.row_lower.append(lower)
        self.row_upper.append(upper)

    def minimise(self, cost: Row, gap: float = 0.0) -> Row | None:
        """Return the columns' values at the optimum, or None where the rows contradict each other.

        Reproducible: one thread, a fixed seed, and it stops by gap and nodes. The time limit is a safety net; past it,
        or past the nodes, the best found stands, and where nothing was found HeterosisError is raised.
        """
        import highspy

        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in _OPTIONS.items():
            highs.setOptionValue(option, value)
        highs.setOptionValue("mip_rel_gap", gap)
        highs.passModel(self._model(highspy, cost))
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

    def _model(self, highspy: Any, cost: Row) -> Any:
        matrix = np.vstack(self.rows)
        at_row, at_column = np.nonzero(matrix)
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = matrix.shape
        model.col_cost_, model.col_lower_, model.col_upper_ = cost, self.lower, self.upper
        model.row_lower_, model.row_upper_ = np.array(self.row_lower), np.array(self.row_upper)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.searchsorted(at_row, np.arange(len(self.rows) + 1))
        model.a_matrix_.index_, model.a_matrix_.value_ = at_column, matrix[at_row, at_column]
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
    "mip_max_nodes": MOST_NODES,
    "time_limit": SAFETY_NET_S,
}
