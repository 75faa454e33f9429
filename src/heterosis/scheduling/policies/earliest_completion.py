"""Earliest completion: each call is bound to the instance that is predicted to finish it first.

Minimum completion time, a common reference in scheduling on unlike machines (Braun et al., "A comparison of eleven
static heuristics", JPDC 61(6), 2001). An instance is predicted to finish when its processor has run what it holds,
everything in its line, and the call itself, at the mean times of the profile.
"""

from collections.abc import Sequence

from heterosis.scheduling.policies.early_binding import EarlyBinding
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.scheduling.view import View


class EarliestCompletion(EarlyBinding):
    """The instance of least predicted finish."""

    def __init__(self) -> None:
        """Start with empty lines."""
        super().__init__("earliest completion")

    def choose(self, view: View, record: CallRecord, among: Sequence[InstanceRecord]) -> InstanceRecord:
        """The first of those that finish earliest."""
        return min(among, key=lambda instance: self._finish(view, record, instance))

    def _finish(self, view: View, record: CallRecord, instance: InstanceRecord) -> float:
        run_s = view.estimates.mean(instance.configuration, record.call.size)
        return self.free_at(view, instance) + self.line(instance).work_s + run_s
