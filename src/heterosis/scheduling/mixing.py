"""Which variants a stage may use now, so that what it mixes comes to the accuracy that was planned."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from heterosis.scheduling.view import View
from heterosis.terms import Configuration

CREDIT = 0.5
"""By how much all calls so far may fall short of the accuracy planned, in whole calls answered wrongly."""
MOST_CREDIT = 5.0
"""What more accurate variants can earn at most: an hour of them is no licence for an hour of others."""


@dataclass(slots=True)
class Mixing:
    """A less accurate variant runs only as often as more accurate ones have earned it."""

    _credit: dict[str, float] = field(default_factory=dict)
    """By stage: what the calls so far were more accurate than planned, added up."""

    def allowed(self, view: View, stage: str) -> Sequence[Configuration]:
        """The configurations of a stage that may run its next call."""
        configurations = view.capacity.configurations.get(stage, ())
        least = view.capacity.least_accuracy.get(stage)
        if least is None:
            return configurations
        enough = least - max(self._credit.get(stage, 0.0) + CREDIT, 0.0)
        return [each for each in configurations if (view.capacity.accuracy[each] or 0.0) >= enough]

    def note(self, view: View, configuration: Configuration, calls: int) -> None:
        """Take the calls of a batch that is started."""
        least = view.capacity.least_accuracy.get(configuration.stage)
        if least is not None:
            earned = calls * ((view.capacity.accuracy[configuration] or 0.0) - least)
            credit = self._credit.get(configuration.stage, 0.0) + earned
            self._credit[configuration.stage] = min(credit, MOST_CREDIT)
