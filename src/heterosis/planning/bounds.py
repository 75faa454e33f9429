"""What no policy can do better: bounds to measure policies against.

`throughput_bound` is a linear program over size classes and machine types; `least_violations` is the exact optimum of a
small instance for one who knows the future, by mixed-integer programming.
"""

from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np

from heterosis.planning.division import chances_of, division
from heterosis.planning.solver import Program

EXACT = 1e-9
"""Relative rounding error that times are allowed."""


class ThroughputBound(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rate at which classes of requests could be served, and what limits it."""

    per_s: float
    """Requests per second."""
    time_prices: tuple[float, ...]
    """For each type, requests per second that one more machine would add."""
    class_prices: tuple[float, ...]
    """For each class, the share of the rate that one request of it takes up: the least of ``time_price x run_s`` over
    the types that serve the class in time, but no more than giving it up costs."""
    times: tuple[tuple[float, ...], ...]
    """For each type, the machines' time that each class takes at that rate, in machines."""


def throughput_bound(
    shares: Sequence[float],
    run_s: Sequence[Sequence[float]],
    counts: Sequence[int],
    limit_s: float,
    *,
    violations: float = 0.01,
    chances: Sequence[Sequence[float]] | None = None,
) -> ThroughputBound:
    """Maximise the rate λ at which requests are served in time, but for a share of ``violations``.

    ``shares[c]`` of the requests are of class c; one takes ``run_s[j][c]`` seconds on one of ``counts[j]`` machines of
    type j, and is not given to a type on which that exceeds ``limit_s``. For all classes and types:

        sum_j x_cj + y_c = λ shares_c,   sum_c x_cj run_cj <= counts_j,   sum_c y_c <= violations λ

    Nobody waits, and requests divide at will: a real policy stays below it. Where run times vary, ``run_s`` are means,
    and a class whose mean exceeds the limit counts as one that is never in time, though its shorter runs are. Hence
    ``chances``: with the chance a_cj that a run ends within the limit, what is late of it counts, too,

        sum_c y_c + sum_cj (1 - a_cj) x_cj <= violations λ,   x_cj = 0 where a_cj = 0

    and no policy exceeds that in the long run that does not know run times beforehand, nor stops what runs.
    """
    from scipy.optimize import linprog

    times, weights = np.array(run_s, dtype=float), np.array(shares, dtype=float)
    types, classes = times.shape
    rows = division(times, chances_of(times, limit_s, chances))
    alone = np.zeros((types, 1))
    found = linprog(
        [0.0] * len(rows.upper) + [-1.0],
        A_ub=np.block([[rows.busy, alone], [rows.late, np.array([[-violations]])]]),
        b_ub=[*counts, 0.0],
        A_eq=np.hstack([rows.served, -weights[:, None]]),
        b_eq=np.zeros(classes),
        bounds=[(0, each) for each in [*rows.upper, None]],
        method="highs",
    )
    if not found.success:
        raise ValueError(f"no rate is bounded by these times and counts: {found.message}")
    given = found.x[: types * classes].reshape(types, classes)
    return ThroughputBound(
        per_s=float(-found.fun),
        time_prices=tuple(float(-price) for price in found.ineqlin.marginals[:types]),
        class_prices=tuple(float(price) for price in found.eqlin.marginals),
        times=tuple(tuple(row) for row in (given * times).tolist()),
    )


class OfflineCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call whose future is known. Times in seconds."""

    arrival: float
    deadline: float
    run_s: tuple[float, ...]
    """Its run time on each instance."""


class OfflineSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when each call runs; None where it does not, since it could not be in time with all the others."""

    runs: tuple[tuple[int, float] | None, ...]
    """For each call, the number of its instance and its start."""

    @property
    def violations(self) -> int:
        """Calls that are not in time."""
        return self.runs.count(None)


def least_violations(calls: Sequence[OfflineCall]) -> OfflineSchedule:
    """The schedule of fewest violations: what one who knows all arrivals and run times could have done.

    Instances are unlike, run one call at a time, and never stop one that runs. For up to some twenty calls.
    """
    if not calls:
        return OfflineSchedule(runs=())
    origin = min(call.arrival for call in calls)
    scale = max(max(call.deadline for call in calls) - origin, 1e-9)  # the solver is exact to 1e-6: let times be near 1
    found = _Offline(
        begins=[(call.arrival - origin) / scale for call in calls],
        ends=[(call.deadline - origin) / scale for call in calls],
        runs=[[run / scale for run in call.run_s] for call in calls],
    ).solve()
    return OfflineSchedule(runs=tuple(each and (each[0], origin + scale * each[1]) for each in found))


class _Offline:
    """The mixed-integer program: which instance runs a call, which of two goes first, and when each starts."""

    def __init__(self, begins: list[float], ends: list[float], runs: list[list[float]]) -> None:
        self.begins, self.ends, self.runs = begins, ends, runs
        self.calls, self.instances = range(len(begins)), range(len(runs[0]))
        chosen = len(begins) * len(self.instances)
        self.first = {pair: chosen + number for number, pair in enumerate(combinations(self.calls, 2))}
        integers = chosen + len(self.first)
        self.start = [integers + call for call in self.calls]
        lower, upper = np.zeros(integers + len(begins)), np.ones(integers + len(begins))
        lower[integers:], upper[integers:] = begins, np.maximum(begins, ends)
        for call in self.calls:
            for instance in self.instances:
                in_time = begins[call] + runs[call][instance] <= ends[call] + EXACT
                upper[self._on(call, instance)] = float(in_time)
        self.program = Program(lower, upper, integers)
        self.cost = self.program.row()
        self.cost[:chosen] = -1

    def solve(self) -> list[tuple[int, float] | None]:
        """For each call, its instance and start, in scaled time; None where it does not run."""
        for call in self.calls:
            self._run_once_in_time(call)
        for one, other in self.first:
            for instance in self.instances:
                self._apart(one, other, instance)
        values = self.program.minimise(self.cost)
        assert values is not None  # noqa: S101 - running nothing at all is always allowed
        return [
            next(
                (
                    (instance, float(values[self.start[call]]))
                    for instance in self.instances
                    if values[self._on(call, instance)] > 0.5  # noqa: PLR2004 - it is 0 or 1, but for rounding
                ),
                None,
            )
            for call in self.calls
        ]

    def _on(self, call: int, instance: int) -> int:
        return call * len(self.instances) + instance

    def _run_once_in_time(self, call: int) -> None:
        once, in_time = self.program.row(), self.program.row()
        in_time[self.start[call]] = 1
        for instance in self.instances:
            once[self._on(call, instance)] = 1
            in_time[self._on(call, instance)] = self.runs[call][instance]
        self.program.add(once, upper=1)
        self.program.add(in_time, upper=self.program.upper[self.start[call]])

    def _apart(self, one: int, other: int, instance: int) -> None:
        """Where both run on the instance, one ends before the other starts; else the rows hold by themselves."""
        for before, after, sign, slack in ((one, other, 1, 3), (other, one, -1, 2)):
            longest = max(self.ends[before], self.begins[before]) - self.begins[after]
            if longest <= 0:
                continue
            row = self.program.row()
            row[self.start[before]], row[self.start[after]] = 1, -1
            row[self._on(before, instance)] = longest + self.runs[before][instance]
            row[self._on(after, instance)] = longest
            row[self.first[one, other]] = sign * longest
            self.program.add(row, upper=slack * longest)
