"""Planning: snapshot in, plan out, with reasons. Pure: no clock, no I/O, no randomness."""

from heterosis.planning.choosing import cheapest, limits_that_hold, most_capable
from heterosis.planning.explain import explain
from heterosis.planning.infeasible import InfeasibleError, Nearest
from heterosis.planning.naive import naive_plan
from heterosis.planning.planner import Judge, Verify, max_rate, plan
from heterosis.planning.problem import Limits
from heterosis.planning.snapshot import Snapshot, Verdict

__all__ = [
    "InfeasibleError",
    "Judge",
    "Limits",
    "Nearest",
    "Snapshot",
    "Verdict",
    "Verify",
    "cheapest",
    "explain",
    "limits_that_hold",
    "max_rate",
    "most_capable",
    "naive_plan",
    "plan",
]
