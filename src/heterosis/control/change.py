"""A change from plan to plan that is under way: each step waits until the one before it has really come about."""

from collections.abc import Collection, Mapping

from heterosis.control.telemetry import InstanceFigures
from heterosis.planning.fleet.changes import Step
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Plan

PATIENCE, PATIENCE_S = 3.0, 10.0
"""A step that takes longer than this multiple of what it should, and these seconds, has failed."""


class Change:
    """Steps to put in force one after the other."""

    def __init__(self, steps: Collection[Step], reason: str) -> None:
        """Begin with the first."""
        self._left = list(steps)
        self.reason = reason
        self.fresh = True
        """Whether no step has been taken yet."""
        self._begun_at = 0.0
        self._should_take_s = 0.0

    @property
    def over(self) -> bool:
        """Whether the last step has been taken."""
        return not self._left

    def take(self, now: float) -> Plan:
        """Return the next plan to put in force."""
        plan = self._left.pop(0).plan
        self.fresh = False
        self._begun_at = now
        self._should_take_s = self._left[0].after_s if self._left else 0.0
        return plan

    def late(self, now: float) -> bool:
        """Whether the step taken last should have come about long since."""
        return now > self._begun_at + PATIENCE * self._should_take_s + PATIENCE_S


def missing(plan: Plan, instances: Mapping[str, InstanceFigures]) -> list[str]:
    """Return what a plan in force still waits for: instances that are to be ready, and such as are to be gone."""
    wanted = {placement.instance for placement in plan.placements}
    ready = {name for name, instance in instances.items() if instance.state is InstanceState.READY}
    return [*sorted(wanted - ready), *sorted(instances.keys() - wanted)]
