"""How the loop goes about it."""

from collections.abc import Mapping

import msgspec

from heterosis.control.demand import CERTAINTY
from heterosis.control.questions import RESERVE
from heterosis.planning.fleet.task import Combination
from heterosis.planning.forecast import DAY_S


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a controller is told once."""

    plan_every_s: float = 30.0
    """From one plan to the next, where nothing asks for one sooner."""
    horizon_s: float = 300.0
    """For how long a plan is taken to hold: what a change costs must be saved in that time."""
    hold_s: float = 15.0
    """How long after a change fewer devices are enough."""
    period_s: float = DAY_S
    """After which the load is expected to repeat itself."""
    parts: int = 96
    """Of a period, each with a load of its own."""
    certainty: float = CERTAINTY
    reserve: float = RESERVE
    aim: float | None = None
    """Accuracy to be had where the fleet can, above the SLO's floors."""
    remeasure: bool = False
    """Whether devices can be measured anew, where they are not what they were profiled as."""
    latency: float | None = None
    """Share of the SLO that the first plan was made for, where the planner may begin."""
    accuracies: Mapping[str, Mapping[Combination, float]] = {}
    """As measured end to end, by pipeline and by the variants that served; see `Question`."""
