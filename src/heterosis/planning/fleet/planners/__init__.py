"""Published planners of fleets, one a file; its docstring cites the source and says where it departs from it."""

from collections.abc import Callable

from heterosis.planning.fleet.allotment import Allotment
from heterosis.planning.fleet.planner import allot
from heterosis.planning.fleet.planners.harpagon import harpagon
from heterosis.planning.fleet.planners.inferline import inferline
from heterosis.planning.fleet.planners.inferline_tuner import Tuner
from heterosis.planning.fleet.planners.ipa import ipa
from heterosis.planning.fleet.planners.loki import loki
from heterosis.planning.fleet.planners.nexus import nexus
from heterosis.planning.fleet.planners.ribbon import ribbon
from heterosis.planning.fleet.planners.single import fastest, homogeneous
from heterosis.planning.fleet.task import Task
from heterosis.terms.errors import UsageError

__all__ = ["PLANNERS", "Planner", "Tuner", "heterosis", "make_planner"]

Planner = Callable[[Task], Allotment | None]
"""From a task to an allotment; None where the planner finds none."""


def heterosis(task: Task) -> Allotment | None:
    """Plan by our own program (see `allot`)."""
    answer = allot(task)
    return None if answer is None else answer.allotment


PLANNERS: dict[str, Planner] = {
    "fastest": fastest,
    "harpagon": harpagon,
    "heterosis": heterosis,
    "homogeneous": homogeneous,
    "inferline": inferline,
    "ipa": ipa,
    "loki": loki,
    "nexus": nexus,
    "ribbon": ribbon,
}
"""Every planner by its name."""


def make_planner(name: str) -> Planner:
    """Find a planner by its name. Raise UsageError where there is none."""
    if name not in PLANNERS:
        raise UsageError(f"no planner {name!r}; there are: {', '.join(PLANNERS)}")
    return PLANNERS[name]
