"""The planner: snapshot in, plan out, with reasons."""

import math
from collections.abc import Callable, Mapping

import msgspec

from heterosis.planning import reasons
from heterosis.planning.assembly import assemble
from heterosis.planning.infeasible import InfeasibleError, highest_rate, infeasible, lowest_latency_ms
from heterosis.planning.placement import solve
from heterosis.planning.problem import Combination, Limits, Problem
from heterosis.planning.snapshot import Snapshot, Verdict
from heterosis.planning.solution import Solution
from heterosis.terms import Plan, Slo, Variant

Judge = Callable[[Mapping[str, Variant]], float]
"""Measures a pipeline's end-to-end accuracy (0..1) with a variant for each stage."""

Verify = Callable[[Plan], Verdict]
"""Tries a plan, for example in the simulator."""

MOST_TRIES = 8
LEAST_STEP, GREATEST_STEP = 0.03, 0.3
"""By what share at least, and at most, the latency budget shrinks after a plan that missed the SLO."""

MOST_EXCESS = 20.0


def plan(
    snapshot: Snapshot, *, judge: Judge | None = None, verify: Verify | None = None, policy: str = "heterosis"
) -> Plan:
    """Return the plan of least cost that keeps the SLO at the snapshot's rate, with a reason for every option.

    ``judge`` measures the accuracy of the variants chosen, which the optimiser estimates as if their losses were
    independent; a combination below the floor is ruled out, and the next best planned. ``verify`` tries the plan; where
    it misses the SLO, the latency budget is tightened, and the plan made anew. Raise InfeasibleError where there is no
    such plan, saying what is possible instead.
    """
    planner = Planner(snapshot, judge, verify, policy)
    return planner.explained(*planner.verified())


def max_rate(snapshot: Snapshot) -> float:
    """Return the highest rate, in requests per second, that can be planned for; the snapshot's own does not matter.

    Raise InfeasibleError where no rate can.
    """
    problem, limits = Problem.of(snapshot).undominated(), Limits.of(snapshot)
    rate = highest_rate(problem, limits)
    if rate is None:
        raise infeasible(problem, msgspec.structs.replace(limits, rate_rps=0.0), _asked(snapshot, "any rate"))
    return rate


def _asked(snapshot: Snapshot, rate: str) -> str:
    slo = snapshot.slo
    floor = f", accuracy of at least {slo.min_accuracy:.4g}" if slo.min_accuracy else ""
    return f"{snapshot.graph.pipeline!r} with p{slo.percentile:g} <= {slo.latency_ms:g} ms{floor}, at {rate}"


def _excess(verdict: Verdict, slo: Slo) -> float:
    """Return how many times too slow a plan is that missed the SLO.

    A policy that refuses what would be late keeps the latency of the rest short. Then the share of the requests that
    missed tells: were their latency distributed exponentially beyond the SLO, by a logarithm.
    """
    late, allowed = 1 - verdict.attainment, 1 - slo.percentile / 100
    by_share = 1 + math.log(max(late / allowed, 1.0)) / 10
    by_latency = verdict.latency_ms / slo.latency_ms if math.isfinite(verdict.latency_ms) else MOST_EXCESS
    return min(max(by_share, by_latency, 1 / (1 - LEAST_STEP)), MOST_EXCESS)


class Planner:
    """One plan in the making; ``limits`` are those that its last solution keeps."""

    def __init__(self, snapshot: Snapshot, judge: Judge | None, verify: Verify | None, policy: str) -> None:
        """Work the snapshot out."""
        self.snapshot, self.judge, self.verify, self.policy = snapshot, judge, verify, policy
        self.asked = _asked(snapshot, f"{snapshot.rate_rps:g} requests/s")
        self.whole = Problem.of(snapshot)
        self.problem = self.whole.undominated()
        self.limits = Limits.of(snapshot)
        self.measured: dict[Combination, float] = {}
        self.history: list[str] = []

    def verified(self) -> tuple[Plan, Solution]:
        """Plan, try, and tighten until a plan holds."""
        tries = 0
        while True:
            solution = self.accurate()
            draft = self.draft(solution)
            if self.verify is None:
                return draft, solution
            verdict = self.verify(draft)
            tries += 1
            if self.holds(verdict):
                predicted = msgspec.structs.replace(draft.predicted, latency_ms=verdict.latency_ms)
                self.history.append(f"tried: {verdict.latency_ms:.0f} ms, {verdict.attainment:.2%} in time")
                return msgspec.structs.replace(draft, predicted=predicted), solution
            self.tighten(solution, verdict, tries)

    def holds(self, verdict: Verdict) -> bool:
        """Whether a plan that was tried keeps the SLO."""
        slo = self.snapshot.slo
        return verdict.latency_ms <= slo.latency_ms and verdict.attainment >= slo.percentile / 100

    def tighten(self, solution: Solution, verdict: Verdict, tries: int) -> None:
        """Shrink the latency budget below what the missed plan needs, by about as much as it missed the SLO."""
        slo = self.snapshot.slo
        needed_ms = solution.needed_ms(self.limits.rate_rps)
        share = 1 / _excess(verdict, slo)
        least_ms = lowest_latency_ms(self.problem, self.limits) or needed_ms
        if tries == MOST_TRIES or least_ms >= needed_ms:
            held_ms = share * needed_ms
            self.limits = msgspec.structs.replace(self.limits, latency_ms=held_ms)
            raise self.impossible(reserve=1 - held_ms / slo.latency_ms)
        tightened_ms = max(share, 1 - GREATEST_STEP) * needed_ms
        budget_ms = least_ms if tries == MOST_TRIES - 1 else max(tightened_ms, least_ms)
        self.limits = msgspec.structs.replace(self.limits, latency_ms=budget_ms)
        took = f"took {verdict.latency_ms:.0f} ms" if math.isfinite(verdict.latency_ms) else "left many unanswered"
        self.history.append(
            f"tightened to {budget_ms:.0f} ms: a plan that should need {needed_ms:.0f} ms {took} when tried, "
            f"{verdict.attainment:.2%} in time"
        )

    def accurate(self) -> Solution:
        """Solve, measure the accuracy of the variants, and rule combinations out until one is accurate enough."""
        while True:
            solution = solve(self.problem, self.limits)
            if solution is None:
                raise self.impossible()
            if self.judge is None:
                return solution
            combination = solution.combination
            if combination not in self.measured:
                variants = {stage: option.variant for stage, option in solution.options.items()}
                self.measured[combination] = self.judge(variants)
            accuracy, floor = self.measured[combination], self.snapshot.slo.min_accuracy or 0.0
            if accuracy >= floor:
                return solution
            self.limits = msgspec.structs.replace(self.limits, forbidden=(*self.limits.forbidden, combination))
            names = ", ".join(f"{stage} {name}" for stage, name in sorted(combination))
            self.history.append(f"ruled out {names}: together of accuracy {accuracy:.4g}, the floor is {floor:.4g}")

    def impossible(self, reserve: float = 0.0) -> InfeasibleError:
        """Say why there is no plan."""
        forbidden = [self.measured[combination] for combination in self.limits.forbidden]
        measured = max(forbidden, default=None)
        return infeasible(self.problem, self.limits, self.asked, reserve=reserve, measured=measured)

    def draft(self, solution: Solution) -> Plan:
        """Return the plan of a solution, its accuracy as measured where it was."""
        draft = assemble(self.snapshot, solution, policy=self.policy)
        accuracy = self.measured.get(solution.combination, solution.accuracy)
        return msgspec.structs.replace(draft, predicted=msgspec.structs.replace(draft.predicted, accuracy=accuracy))

    def explained(self, plan: Plan, solution: Solution) -> Plan:
        """Return a plan with its reasons, and those for every option."""
        slo = self.snapshot.slo
        unchecked = [
            "accuracy is unknown, so its floor is not kept: give the pipeline samples and an accuracy function"
        ]
        return msgspec.structs.replace(
            plan,
            options=reasons.options(self.whole, self.problem, self.limits, solution),
            reasons=(
                self.problem.objective.reason,
                *reasons.prices(self.problem, self.limits, solution),
                *(unchecked if slo.min_accuracy and plan.predicted.accuracy is None else ()),
                *self.history,
            ),
        )
