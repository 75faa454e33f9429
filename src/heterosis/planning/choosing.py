"""What a plan would rest on, without making it: for whoever decides what is worth measuring."""

import math
from collections.abc import Iterator

from heterosis.planning.curve import fill
from heterosis.planning.demand import demand
from heterosis.planning.infeasible import InfeasibleError, busiest
from heterosis.planning.options import TAIL_PERCENT, Candidate
from heterosis.planning.placement import solve
from heterosis.planning.planner import Judge, Planner, Verify
from heterosis.planning.problem import Limits, Problem
from heterosis.planning.snapshot import Snapshot
from heterosis.planning.solution import Solution
from heterosis.terms import Choice, Configuration


def cheapest(snapshot: Snapshot, limits: Limits | None = None) -> Choice | None:
    """Return what the cheapest plan within the limits rests on, by default the snapshot's; None where there is none."""
    solution = solve(Problem.of(snapshot).undominated(), limits or Limits.of(snapshot))
    return None if solution is None else Choice(cost=solution.cost, uses=_uses(snapshot, solution))


def most_capable(snapshot: Snapshot) -> Choice | None:
    """Return what the plan for the highest rate rests on (its cost is the time between requests); None without one."""
    found = busiest(Problem.of(snapshot).undominated(), Limits.of(snapshot))
    if found is None:
        return None
    rate, solution = found
    return Choice(cost=1 / rate if rate else math.inf, uses=_uses(snapshot, solution))


def limits_that_hold(snapshot: Snapshot, judge: Judge | None, verify: Verify | None) -> Limits | None:
    """Return the limits under which the cheapest plan keeps the SLO when it is judged and tried; see `plan`.

    None where no plan does.
    """
    planner = Planner(snapshot, judge, verify, policy="heterosis")
    try:
        planner.verified()
    except InfeasibleError:
        return None
    return planner.limits


def _uses(snapshot: Snapshot, solution: Solution) -> frozenset[tuple[Configuration, int]]:
    measured = {(point.configuration, point.batch) for point in snapshot.profile.points}
    uses: set[tuple[Configuration, int]] = set()
    for stage, option in solution.options.items():
        batches = sorted(batch for configuration, batch in measured if configuration == option.configuration)
        for size in _sizes(snapshot, stage, option):
            uses.add((option.configuration, max((each for each in batches if each <= size), default=batches[0])))
            uses.add((option.configuration, min((each for each in batches if each >= size), default=batches[-1])))
    return frozenset(uses)


def _sizes(snapshot: Snapshot, stage: str, option: Candidate) -> Iterator[int]:
    """Sizes of the batches that a stage's option would run."""
    wanted = demand(snapshot.graph, stage)
    widths = {*wanted.sizes, wanted.width(snapshot.slo.percentile), wanted.width(TAIL_PERCENT)}
    yield option.batch
    yield from (fill(width, option.batch, option.instances) for width in widths if width)
