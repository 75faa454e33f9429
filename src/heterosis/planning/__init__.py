"""Planning: snapshot in, plan out, with reasons. Pure: no clock, no I/O, no randomness."""

from heterosis.planning.explain import explain
from heterosis.planning.infeasible import InfeasibleError, Nearest
from heterosis.planning.naive import naive_plan
from heterosis.planning.planner import Judge, Verify, max_rate, plan
from heterosis.planning.snapshot import Snapshot, Verdict

__all__ = [
    "InfeasibleError",
    "Judge",
    "Nearest",
    "Snapshot",
    "Verdict",
    "Verify",
    "explain",
    "max_rate",
    "naive_plan",
    "plan",
]
