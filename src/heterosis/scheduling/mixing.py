"""Which variants a stage may use now, so that what it mixes comes to the accuracy that was planned, class by class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

CREDIT = 0.5
"""By how much all calls so far may fall short of the accuracy planned, in whole calls answered wrongly."""
MOST_CREDIT = 5.0
"""What more accurate variants can earn at most: an hour of them is no licence for an hour of others."""


@dataclass(slots=True)
class Mixing:
    """A less accurate variant runs only as often as more accurate ones have earned it.

    Classes of requests that have a floor of their own earn for themselves; all others together.
    """

    _credit: dict[tuple[str, str], float] = field(default_factory=dict)
    """By stage and class: what the calls so far were more accurate than planned, added up."""

    def allowed(self, view: View, record: CallRecord) -> Sequence[Configuration]:
        """The configurations of its stage that may run a call next."""
        stage = record.call.stage
        configurations = view.capacity.configurations[stage]
        if stage not in view.capacity.least_accuracy:
            return configurations
        least, key = _least(view, stage, record.request.request_class)
        enough = least - max(self._credit.get(key, 0.0) + CREDIT, 0.0)
        found = [each for each in configurations if (view.capacity.accuracy[each] or 0.0) >= enough]
        if found or not configurations:
            return found
        return [max(configurations, key=lambda each: view.capacity.accuracy[each] or 0.0)]

    def may_run(self, view: View, record: CallRecord, configuration: Configuration) -> bool:
        """Whether a call may go along in a batch of a configuration."""
        return configuration in self.allowed(view, record)

    def note(self, view: View, configuration: Configuration, calls: Sequence[CallRecord]) -> None:
        """Take the calls of a batch that is started, of a stage that mixes variants."""
        accuracy = view.capacity.accuracy[configuration] or 0.0
        for request_class, count in Counter(each.request.request_class for each in calls).items():
            least, key = _least(view, configuration.stage, request_class)
            self._credit[key] = min(self._credit.get(key, 0.0) + count * (accuracy - least), MOST_CREDIT)


def _least(view: View, stage: str, request_class: str) -> tuple[float, tuple[str, str]]:
    """What the calls of a class come to by the plan, and whose credit they count for."""
    own = view.capacity.class_accuracy.get((stage, request_class))
    if own is not None:
        return own, (stage, request_class)
    return view.capacity.least_accuracy[stage], (stage, "")
