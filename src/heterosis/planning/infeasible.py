"""When no plan is possible: which limit binds, and what is the nearest that is possible."""

import math

import msgspec

from heterosis.planning.placement import Goal, solve
from heterosis.planning.problem import TOLERANCE, Limits, Problem
from heterosis.planning.solution import Solution
from heterosis.terms.errors import UsageError

CLOSE = 0.005
"""How close the highest rate is found, relative: to prove it the highest takes long."""


class Nearest(msgspec.Struct, frozen=True, kw_only=True):
    """For each limit, the nearest value that is possible with all others kept; None where there is none."""

    latency_ms: float | None = None
    rate_rps: float | None = None
    accuracy: float | None = None


class InfeasibleError(UsageError):
    """No plan keeps all limits.

    ``binding`` names those at fault: ``latency``, ``rate`` (of a fleet: ``devices``), ``accuracy``, ``memory``;
    ``nearest`` is what is possible.
    """

    def __init__(self, message: str, binding: tuple[str, ...], nearest: Nearest) -> None:
        """Take the message, and the same as data."""
        super().__init__(message)
        self.binding = binding
        self.nearest = nearest


def highest_rate(problem: Problem, limits: Limits) -> float | None:
    """Return the highest rate (requests per second) that is possible, all else kept; None where no rate is."""
    found = busiest(problem, limits)
    return None if found is None else found[0]


def busiest(problem: Problem, limits: Limits) -> tuple[float, Solution] | None:
    """Return the highest rate that is possible, and what serves it.

    For each utilisation of the grid, the wait is known; the rate is then limited by the busiest slot alone, and highest
    where that slot gives least time to a request.
    """
    limits = msgspec.structs.replace(limits, rate_rps=0.0)
    grid = problem.grid
    best: tuple[float, Solution] | None = None
    least_ms = 0.0
    # Who plans for less utilisation waits less, and can choose options that load the slots less.
    for cell in (0, *range(len(grid) - 1, 0, -1)):
        if best and least_ms and 1e3 * grid[cell][0] / least_ms <= best[0]:
            break
        solution = solve(problem, limits, Goal.LOAD, cell=cell, gap=CLOSE)
        if solution is None and cell == 0:
            return None
        if solution is not None:
            least_ms = least_ms or solution.load_ms
            if not least_ms:
                return math.inf, solution
            rate = 1e3 * grid[cell][0] / solution.load_ms * (1 - TOLERANCE)
            best = max(best or (rate, solution), (rate, solution), key=lambda each: each[0])
    return best


def lowest_latency_ms(problem: Problem, limits: Limits) -> float | None:
    """Return the tightest SLO that is possible, all else kept."""
    solution = solve(problem, msgspec.structs.replace(limits, latency_ms=math.inf), Goal.LATENCY)
    return None if solution is None else solution.needed_ms(limits.rate_rps) * (1 + TOLERANCE)


def best_accuracy(problem: Problem, limits: Limits) -> float | None:
    """Return the highest accuracy that is possible, all else kept; None where there is none, or it is unknown."""
    solution = solve(problem, msgspec.structs.replace(limits, min_accuracy=None), Goal.INACCURACY)
    return None if solution is None else solution.accuracy


def infeasible(
    problem: Problem, limits: Limits, asked: str, *, reserve: float = 0.0, measured: float | None = None
) -> InfeasibleError:
    """Find out why the limits cannot be kept together.

    ``asked`` is what was asked for, in words. ``reserve`` is the share of the SLO that the limits leave unused because
    plans that used it missed the SLO when tried, ``measured`` the best accuracy of the forbidden combinations.
    """
    least_ms = lowest_latency_ms(problem, limits)
    floor = limits.min_accuracy
    best = measured if measured is not None else best_accuracy(problem, limits)
    nearest = Nearest(
        latency_ms=None if least_ms is None else least_ms / (1 - reserve),
        rate_rps=highest_rate(problem, limits),
        accuracy=best if floor else None,
    )
    alone = {
        "latency": Limits(latency_ms=limits.latency_ms, memory=False),
        "rate": Limits(rate_rps=limits.rate_rps, memory=False),
        "accuracy": Limits(min_accuracy=floor, memory=False),
        "memory": Limits(),
    }
    binding = tuple(name for name, limit in alone.items() if solve(problem, limit) is None)
    causes = [_CAUSES[name](problem, limits) for name in binding]
    if not binding:
        roomy = solve(problem, msgspec.structs.replace(limits, memory=False))
        possible = (nearest.latency_ms, nearest.rate_rps, nearest.accuracy, roomy)
        binding = tuple(name for name, value in zip(alone, possible, strict=True) if value is not None) or tuple(alone)
        causes = [f"each limit could be kept, but not all at once; to give way in {' or '.join(binding)} is enough"]
    if reserve:
        causes.append(f"{reserve:.0%} of the SLO was kept in reserve, since plans that used it missed it when tried")
    if measured is not None:
        causes.append(f"{len(limits.forbidden)} combinations of variants were measured, and are not accurate enough")
    return InfeasibleError(f"no plan for {asked}: {'; '.join(causes)}. {advice(nearest)}", binding, nearest)


def _latency(problem: Problem, limits: Limits) -> str:
    least_ms = lowest_latency_ms(problem, Limits(memory=False))
    return f"the SLO binds: on an idle fleet even the fastest options need {least_ms:.1f} of {limits.latency_ms:.1f} ms"


def _rate(problem: Problem, limits: Limits) -> str:
    most = highest_rate(problem, Limits(memory=False))
    return f"capacity binds: at whatever latency, {most:.3g} of {limits.rate_rps:.3g} requests/s can be served"


def _accuracy(problem: Problem, limits: Limits) -> str:
    best = best_accuracy(problem, Limits(memory=False))
    return f"the accuracy floor binds: the best variants reach {best:.4g} of {limits.min_accuracy:.4g}"


def _memory(problem: Problem, _: Limits) -> str:
    least = sum(min(each.memory_bytes for each in options) for options in problem.candidates.values())
    return f"memory binds: the smallest options need {least / 1e6:.0f} MB together"


_CAUSES = {"latency": _latency, "rate": _rate, "accuracy": _accuracy, "memory": _memory}


def advice(nearest: Nearest) -> str:
    """Return what is possible, in words."""
    # Rounded to the safe side, so that what is read off the message is possible, too.
    possible = []
    if nearest.latency_ms is not None:
        possible.append(f"a latency of {math.ceil(nearest.latency_ms)} ms")
    if nearest.rate_rps is not None:
        possible.append(f"{_floor(nearest.rate_rps)} requests/s")
    if nearest.accuracy is not None:
        possible.append(f"an accuracy of {_floor(nearest.accuracy)}")
    if not possible:
        return "Loosening one limit is not enough; loosen several, or give the fleet more devices"
    return f"Possible, with all else kept: {', or '.join(possible)}"


def _floor(value: float) -> str:
    """Return three digits of a value, rounded down."""
    if value <= 0 or math.isinf(value):
        return f"{value:g}"
    digit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.floor(value / digit + TOLERANCE) * digit:.3g}"
