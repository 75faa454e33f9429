"""PSLO-MAEL: SLO-MAEL that changes its mind at every window about what has not begun.

The preemptive variant of SLO-MAEL (Seo et al., ACM TACO 2021) cuts models into slices of layers, and decides
again which request a processor goes on with at the end of each slice. A baseline for comparison only: patents are held
on the method. It is never a default.

Departure: a batch cannot be stopped half-way here (an engine runs a model as a whole), so the only boundaries are those
of batches. What preemption is for, that a request with little slack need not wait behind others, is had as far as that
allows: at the end of each window with new calls, those still in the lines are assigned again together with them, those
of least slack first, from what the processors really have left to run. A deadline is then the time that is left.
"""

from heterosis.scheduling.policies.early_binding import ALIVE, processor_of
from heterosis.scheduling.policies.slo_mael import SloMael, summed
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View


class PsloMael(SloMael):
    """Joint assignment by check of all that has not begun, at every window that brings something new."""

    def __init__(self) -> None:
        """Judge combinations by the sum of the checks."""
        super().__init__(summed)

    def due(self, view: View, records: list[CallRecord]) -> list[CallRecord]:
        """All that has not begun, the least time left first; processors are as busy as they really are."""
        self.loads_ms = {}
        for instance in view.instances.values():
            if instance.state in ALIVE:
                left_ms = (self.free_at(view, instance) - view.now) * 1e3
                processor = processor_of(instance)
                self.loads_ms[processor] = max(left_ms, self.loads_ms.get(processor, 0.0))
        queued = [bound.record for line in self.lines.values() for bound in line.waiting]
        for line in self.lines.values():
            line.keep([])
        records += [record for record in queued if record.state is CallState.WAITING]
        return sorted(records, key=lambda record: self.time_s(view, record))

    def time_s(self, view: View, record: CallRecord) -> float:
        """The time that a call has left."""
        return super().time_s(view, record) + record.request.arrival - view.now
