"""SLO-MAEL: the requests of a window are assigned together, so that most have time to spare.

Seo et al., "SLO-Aware Inference Scheduler for Heterogeneous Processors in Edge Platforms", ACM TACO 2021, and
its public code. A baseline for comparison only: patents are held on the method. It is never a default.

As `mael`, but a combination is judged by its checks (see `joint_search.check`), ties by the sum of expected latencies;
and an idle processor takes the call of least slack in its line: its deadline, less the time since it was bound, less
its run time here.

The paper sums the checks of all requests. The published code keeps that of the last request only; both are here:

- ``slo_mael:as-published`` (and plain ``slo_mael``): the code's score, the last request's check.
- ``slo_mael:summed``: the paper's.
- ``slo_mael:greedy``: no joint search; each request in turn goes to the processor of best check. Ours, for comparison.

Departures: those of `mael`.
"""

from collections.abc import Sequence

from heterosis.scheduling.policies.early_binding import Bound, Line
from heterosis.scheduling.policies.joint_search import Numbers, Score
from heterosis.scheduling.policies.mael import CHUNK, Mael


def last(checks: Numbers) -> Numbers:
    """Score combinations by the check of their last request, as the published code does."""
    check: Numbers = checks[-1]
    return check


def summed(checks: Numbers) -> Numbers:
    """Score combinations by the sum of the checks, as the paper does."""
    total: Numbers = checks.sum(axis=0)
    return total


class SloMael(Mael):
    """Joint assignment by check; least slack first at each processor."""

    def __init__(self, score: Score = last, *, chunk: int = CHUNK) -> None:
        """Judge combinations of at most so many requests by this score."""
        super().__init__("least slack", score=score, chunk=chunk)

    def key(self, bound: Bound, deadline_s: float) -> float:
        """By slack: since all calls lose it at the same pace, the latest time at which it could begin."""
        return deadline_s + bound.since - bound.run_s

    def select(self, ready: Sequence[Bound], line: Line) -> Bound:  # noqa: ARG002
        """The one of least slack."""
        return min(ready, key=lambda bound: bound.key)
