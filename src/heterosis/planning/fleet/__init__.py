"""Planning for fleets: how many devices of which kinds, in which power modes, and what runs on them.

`heterosis.planning` proper places the few instances of one machine slot by slot; here devices are counted by kind, so
that a thousand of them are planned for as fast as ten.
"""

from heterosis.planning.fleet.allotment import Allotment, Hosted, Share, accuracy, power_w, price_per_hour
from heterosis.planning.fleet.assembly import to_plan
from heterosis.planning.fleet.bounds import lower_bound
from heterosis.planning.fleet.costs import by_objective
from heterosis.planning.fleet.options import Option, enumerate_options
from heterosis.planning.fleet.planner import Answer, allot, holds, maximum_rate, verified
from heterosis.planning.fleet.program import Limits
from heterosis.planning.fleet.task import Objective, Task, Workload

__all__ = [
    "Allotment",
    "Answer",
    "Hosted",
    "Limits",
    "Objective",
    "Option",
    "Share",
    "Task",
    "Workload",
    "accuracy",
    "allot",
    "by_objective",
    "enumerate_options",
    "holds",
    "lower_bound",
    "maximum_rate",
    "power_w",
    "price_per_hour",
    "to_plan",
    "verified",
]
