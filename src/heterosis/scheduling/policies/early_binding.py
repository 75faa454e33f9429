"""What policies share that bind a call to an instance as soon as it is there: a line of calls at each instance.

Late binding is worth more than any cleverness in choosing the line; these policies are here to compare with. Calls run
one at a time. A call whose instance goes down, or out of the plan, is bound anew.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from heterosis.scheduling.policy import Decision, Dispatch, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.states import CallState, InstanceState
from heterosis.scheduling.view import View
from heterosis.terms import Request

ALIVE = frozenset({InstanceState.STARTING, InstanceState.READY})


class EarlyBinding:
    """First come, first served at each instance; ``choose`` decides at which."""

    def __init__(self, reason: str) -> None:
        """Start with empty lines; ``reason`` is said of every batch."""
        self.lines: dict[str, deque[CallRecord]] = defaultdict(deque)
        self._reason = reason
        self._unbound: list[CallRecord] = []

    def choose(self, view: View, record: CallRecord, among: Sequence[InstanceRecord]) -> InstanceRecord:
        """Choose the instance that a call is bound to, among those of its stage that are alive."""
        raise NotImplementedError

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:  # noqa: ARG002
        """By arrival of the request; the call is bound at the next decision."""
        self._unbound.append(record)
        return (record.request.arrival,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Bind what is new, then give each instance that can take one the first call of its line."""
        self._bind(view)
        for name, line in self.lines.items():
            while line and line[0].state is not CallState.WAITING:
                line.popleft()
            if line and view.can_take(view.instances[name]):
                yield Dispatch(view.instances[name], (line.popleft(),), self._reason)

    def _bind(self, view: View) -> None:
        for name in [name for name in self.lines if name not in view.instances]:
            self._unbound += self.lines.pop(name)
        for name, line in self.lines.items():
            if view.instances[name].state not in ALIVE:
                self._unbound += line
                line.clear()
        homeless = []
        for record in self._unbound:
            if record.state is not CallState.WAITING:
                continue
            among = [
                instance
                for instance in view.instances.values()
                if instance.configuration.stage == record.call.stage and instance.state in ALIVE
            ]
            if among:
                self.lines[self.choose(view, record, among).name].append(record)
            else:
                homeless.append(record)
        self._unbound = homeless
