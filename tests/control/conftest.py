"""A recorder of a driver's steps."""

from heterosis.control import Telemetry
from heterosis.scheduling import Effect, Event, Record
from heterosis.terms import Plan
from heterosis.testing import Driver


class Watched(Driver):
    """A driver whose steps telemetry is told of."""

    def __init__(self, plan: Plan) -> None:
        """Drive a plan."""
        self.telemetry = Telemetry()
        self.told: list[object] = []
        super().__init__(plan)

    def __call__(self, event: Event, after: float = 0.0) -> list[Effect]:
        """Handle an event, and tell of it."""
        effects = super().__call__(event, after)
        self.told.append(self.telemetry.observe(Record(at=self.now, event=event, effects=tuple(effects))))
        return effects
