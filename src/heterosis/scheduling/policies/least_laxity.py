"""Least laxity first: the call that can least afford to wait goes next; nothing is refused, nothing dropped.

Laxity is the time to the deadline less the time that is still needed (Mok, "Fundamental design problems of distributed
systems for the hard-real-time environment", MIT 1983): of the call itself on the fastest configuration, and of what
follows its stage. Since calls that wait lose laxity at the same pace, their order can be fixed when they begin to wait.
Dispatch is that of `fcfs`: late binding, full batches. In overload, laxity puts the hopeless first, and collapses.
"""

from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.state import CallRecord, Priority
from heterosis.scheduling.view import View


class LeastLaxity(Fcfs):
    """Calls in the order of their laxity."""

    reason = "least laxity"

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest time at which the call could start."""
        stage, size = record.call.stage, record.call.size
        configurations = view.capacity.configurations[stage]
        fastest = min((view.estimates.mean(each, size) for each in configurations), default=0.0)
        return (record.request.deadline - view.capacity.tails[stage] - fastest,)
