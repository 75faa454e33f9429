"""Why a plan is as it is: what each limit costs it, and why each other option was not taken."""

import math
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from heterosis.planning.obstacles import obstacle
from heterosis.planning.options import Candidate, counted
from heterosis.planning.placement import solve
from heterosis.planning.problem import TOLERANCE, Limits, Problem, dominators
from heterosis.planning.solution import Solution
from heterosis.terms import Configuration, Option

LOOSER = 0.1
"""By how much a limit is loosened to see what it costs."""
LESS_ACCURATE = 0.01

MOST_SOLVED = 2
"""Options of a stage for which the program is solved anew; the rest are judged in the place of the one chosen."""

NEGLIGIBLE = 1e-3
"""Relative savings below this are none: ties are broken within it."""


def prices(problem: Problem, limits: Limits, solution: Solution) -> list[str]:
    """Return what each limit costs: what plans without it, and with a looser one, would save."""
    change = msgspec.structs.replace
    floor = limits.min_accuracy or 0.0
    loosened = {
        "SLO": (
            change(limits, latency_ms=math.inf),
            change(limits, latency_ms=limits.latency_ms * (1 + LOOSER)),
            f"one {LOOSER:.0%} looser",
        ),
        "rate": (
            change(limits, rate_rps=0.0),
            change(limits, rate_rps=limits.rate_rps * (1 - LOOSER)),
            f"one {LOOSER:.0%} lower",
        ),
        "accuracy floor": (
            change(limits, min_accuracy=None),
            change(limits, min_accuracy=max(floor - LESS_ACCURATE, 0.0)),
            f"one {LESS_ACCURATE} lower",
        ),
    }
    found = []
    for name, (without, looser, how) in loosened.items():
        saved = _saved(problem, without, solution)
        if saved:
            some = _saved(problem, looser, solution) or "nothing"
            found.append(f"the {name} binds: a plan without it would save {saved} per request; {how}, {some}")
    saved = _saved(problem, change(limits, memory=False), solution)
    if saved:
        found.append(f"memory binds: a plan with enough of it would save {saved} per request")
    return found or ["no limit binds: the cheapest options keep them all"]


def _saved(problem: Problem, looser: Limits, solution: Solution) -> str:
    """Return what a plan within looser limits would save, as text; nothing where it would save next to nothing."""
    better = solve(problem, looser, gap=NEGLIGIBLE / 2)
    saved = solution.cost - better.cost if better else 0.0
    if saved <= NEGLIGIBLE * solution.cost:
        return ""
    return f"{problem.objective.show(saved)} ({saved / solution.cost:.0%})"


def options(whole: Problem, problem: Problem, limits: Limits, solution: Solution) -> tuple[Option, ...]:
    """Return every option of a profile, with the reason for which it was, or was not, taken.

    ``whole`` has all options, ``problem`` those that no other option makes superfluous. Instance counts of one
    configuration and batch size are one option here.
    """
    rows = []
    for stage, candidates in whole.candidates.items():
        judge = _Judge(whole, problem, limits, solution, stage)
        groups: dict[tuple[Configuration, int], list[Candidate]] = defaultdict(list)
        for each in candidates:
            groups[each.configuration, each.batch].append(each)
        for (configuration, batch), group in groups.items():
            chosen = judge.chosen in group
            reason = judge.why() if chosen else judge.why_not(group)
            rows.append(Option(stage=stage, configuration=configuration, batch=batch, chosen=chosen, reason=reason))
    return (*rows, *whole.refused)


class _Judge:
    """Why options of one stage were not taken."""

    def __init__(self, whole: Problem, problem: Problem, limits: Limits, solution: Solution, stage: str) -> None:
        self.problem, self.limits, self.solution, self.stage = problem, limits, solution, stage
        self.chosen = solution.options[stage]
        self.obstacles = {each: obstacle(whole, limits, each) for each in whole.candidates[stage]}
        others = [each for each, reason in self.obstacles.items() if reason is None and each != self.chosen]
        fitting = [self.chosen, *others]
        self.better = dict(zip(fitting, dominators(problem.objective, fitting), strict=True))
        self.left_to_solve = MOST_SOLVED

    def why(self) -> str:
        """Return what the option that was taken gives."""
        cost = self.problem.objective.show(self.problem.objective.of(self.chosen))
        return (
            f"taken, {counted(self.chosen.instances, 'instance')}: {cost}, {self.chosen.latency_ms:.0f} ms per request"
        )

    def why_not(self, group: Sequence[Candidate]) -> str:
        """Return why none of a group of options was taken."""
        fitting = [each for each in group if each in self.better]
        if not fitting:
            return self.obstacles[min(group, key=lambda each: each.latency_ms)] or ""
        better = [other.name for each in fitting if (other := self.better[each]) is not None]
        if len(better) == len(fitting):
            return f"in no way better than {better[0]}"
        return self._swapped([each for each in fitting if self.better[each] is None])

    def _swapped(self, group: Sequence[Candidate]) -> str:
        """Return what the plan would be with an option in the place of the one taken, or with a new plan around it."""
        swaps = [Solution(self.problem, {**self.solution.options, self.stage: each}) for each in group]
        keeping = [swap for swap in swaps if swap.keeps(self.limits)]
        if keeping:
            return "would fit, but " + self._worse(min(keeping, key=lambda swap: swap.cost))
        if self.left_to_solve:
            self.left_to_solve -= 1
            around = solve(self.problem.only(self.stage, group), self.limits, gap=NEGLIGIBLE)
            if around is None:
                return "fits with no choice of the other stages"
            return "would fit with other options elsewhere, but " + self._worse(around)
        return "does not fit in its place: " + self._missed(
            min(swaps, key=lambda swap: swap.needed_ms(self.limits.rate_rps))
        )

    def _worse(self, other: Solution) -> str:
        dearer = other.cost - self.solution.cost
        if dearer > NEGLIGIBLE * self.solution.cost:
            times = other.cost / self.solution.cost
            return f"dearer by {self.problem.objective.show(dearer)} per request ({times:.3g}x)"
        rate = self.limits.rate_rps
        slower_ms = other.latency_ms(rate) - self.solution.latency_ms(rate)
        if slower_ms > 0:
            return f"slower by {slower_ms:.1f} ms at the same cost"
        return "no cheaper, and takes more instances or comes later by name"

    def _missed(self, swap: Solution) -> str:
        limits, rate = self.limits, self.limits.rate_rps
        needed_ms = swap.needed_ms(rate)
        if needed_ms > limits.latency_ms * (1 + TOLERANCE):
            return f"the plan would need {needed_ms:.0f} ms of {limits.latency_ms:.0f} ms"
        if swap.combination in limits.forbidden:
            return "the accuracy of the variants together was measured, and is too low"
        if swap.accuracy is not None and swap.accuracy < (limits.min_accuracy or 0.0):
            return f"the plan's accuracy would be {swap.accuracy:.4g}, below the floor of {limits.min_accuracy:.4g}"
        return (
            "the device has not the memory for the plan"
            if swap.memory_share() > 1
            else "its power mode is not the plan's"
        )
