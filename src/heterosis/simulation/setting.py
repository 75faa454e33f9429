"""What a simulated run has besides its plan."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from heterosis.control.power import Power
from heterosis.scheduling import Record
from heterosis.simulation.failures import DeviceFailure, Failure, RandomFailures, Slowdown
from heterosis.simulation.network import Network
from heterosis.simulation.occupancy import Occupancy
from heterosis.terms import OperatingPoint, Plan


class Steering(Protocol):
    """What changes plans while a run goes on, by what it observes (see `heterosis.control.steering`)."""

    tick_s: float
    """How often it is asked."""

    @property
    def points(self) -> Collection[OperatingPoint]:
        """The operating points of all plans that it may come up with."""
        ...

    def observe(self, record: Record) -> None:
        """Take a step of the scheduler."""
        ...

    def tick(self, now: float) -> Sequence[Plan]:
        """Return the plans to put in force now, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """By default nothing fails, nodes are next to each other, no idle power is counted, and all instances are ready."""

    load_at_start: bool = False
    """The first instances load and warm up like later ones, instead of being ready when the run begins."""
    failures: Sequence[Failure] = ()
    random_failures: RandomFailures | None = None
    device_failures: Sequence[DeviceFailure] = ()
    slowdowns: Sequence[Slowdown] = ()
    network: Network | None = None
    power: Power | None = None
    plan_changes: Sequence[tuple[float, Plan]] = ()
    """Moments in seconds, and the plan that holds from then on."""
    steering: Steering | None = None
    patience_s: float = 86400.0
    """What is not answered so long after the last arrival is given up: what fails again before it has loaded would keep
    a run going for ever."""
    timed: bool = False
    """Measure the wall time of every decision; it goes to the outcome's ``decision_s``."""
    occupancy: Occupancy | None = None
    """Told what runs where and when."""
