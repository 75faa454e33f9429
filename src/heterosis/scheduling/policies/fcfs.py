"""First come, first served: the order of arrival, full batches where there are enough calls, nothing refused.

What a server does that knows no deadlines. Calls are still bound late: each goes to the first instance that is idle.
"""

from collections.abc import Iterator

from heterosis.scheduling.policy import Decision, Dispatch, Refuse
from heterosis.scheduling.state import CallRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Request


class Fcfs:
    """Calls in the order in which their requests arrived."""

    reason = "first come"

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:  # noqa: ARG002
        """By arrival of the request."""
        return (record.request.arrival,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Give the first calls to any instance that can take them, the earliest stage head first."""
        while True:
            ready = [
                (head.priority, stage, configuration)
                for stage, queue in view.queues.items()
                if (head := queue.head) is not None
                for configuration in view.capacity.configurations[stage]
                if view.idle[configuration] or view.spare[configuration]
            ]
            if not ready:
                return
            _, stage, configuration = min(ready, key=lambda entry: entry[0])
            instance = next(iter((view.idle[configuration] or view.spare[configuration]).values()))
            yield Dispatch(instance, view.queues[stage].batch(instance.placement.max_batch), self.reason)
