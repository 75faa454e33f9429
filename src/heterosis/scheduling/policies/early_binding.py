"""What policies share that bind a call to an instance as soon as it is there: a line of calls at each processor.

A processor is the slots that its instances share (one instance for each model on a GPU with one slot, say): they take
turns, so their calls stand in one line. An instance that occupies no slots is a processor of its own, and so are
instances whose slots overlap only in part.

Late binding is worth more than any cleverness in choosing the line; these policies are here to compare with. Calls run
one at a time. A call whose instance goes down, or out of the plan, is bound anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.policies.openings import free_at
from heterosis.scheduling.policy import Decision, Dispatch, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.states import CallState, InstanceState
from heterosis.scheduling.view import View
from heterosis.terms import Request

ALIVE = frozenset({InstanceState.STARTING, InstanceState.READY})
Processor = tuple[Place, ...]


@dataclass(slots=True)
class Bound:
    """A call in a line."""

    record: CallRecord
    instance: InstanceRecord
    """The instance that is to run it."""
    since: float
    """When it was bound (seconds)."""
    run_s: float
    """How long it is expected to run there."""
    key: float = 0.0
    """What a policy orders its lines by."""


@dataclass(slots=True)
class Line:
    """The calls that wait for one processor, in the order in which they were bound."""

    waiting: list[Bound] = field(default_factory=list)
    work_s: float = 0.0
    """How long they are expected to run, all together."""
    last: InstanceRecord | None = None
    """The instance that ran last."""

    def keep(self, waiting: list[Bound]) -> None:
        """Let only these wait on."""
        self.waiting = waiting
        self.work_s = sum(bound.run_s for bound in waiting)

    def append(self, bound: Bound) -> None:
        """Let one more wait."""
        self.waiting.append(bound)
        self.work_s += bound.run_s

    def remove(self, bound: Bound) -> None:
        """Let one wait no more."""
        self.waiting.remove(bound)
        self.work_s = self.work_s - bound.run_s if self.waiting else 0.0


class EarlyBinding:
    """First come, first served at each processor; ``choose`` decides at which."""

    def __init__(self, reason: str) -> None:
        """Start with empty lines; ``reason`` is said of every batch."""
        self.lines: dict[Processor, Line] = {}
        self._reason = reason
        self._unbound: list[CallRecord] = []
        self._used: dict[str, InstanceRecord] = {}
        """Every instance that calls were bound to."""

    def choose(self, view: View, record: CallRecord, among: Sequence[InstanceRecord]) -> InstanceRecord:
        """Choose the instance that a call is bound to, among those of its stage that are alive."""
        raise NotImplementedError

    def select(self, ready: Sequence[Bound], line: Line) -> Bound:  # noqa: ARG002
        """Choose which call of a line runs next, of those whose instance can take it: here the first."""
        return ready[0]

    def bind(self, view: View) -> Iterator[Decision]:
        """Bind the calls that are bound to no instance yet: here at once, one after the other."""
        homeless = []
        for record in self.unbound():
            among = self.among(view, record)
            if among:
                self.append(view, record, self.choose(view, record, among))
            else:
                homeless.append(record)
        self._unbound = homeless
        yield from ()

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:  # noqa: ARG002
        """By arrival of the request; the call is bound at the next decision."""
        self._unbound.append(record)
        return (record.request.arrival,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Bind what is new, then give each processor that can take one a call of its line."""
        self._release()
        yield from self.bind(view)
        for line in self.lines.values():
            while (bound := self._next(view, line)) is not None:
                line.remove(bound)
                line.last = bound.instance
                yield Dispatch(bound.instance, (bound.record,), self._reason)

    def unbound(self) -> list[CallRecord]:
        """The calls that wait and are bound to no instance yet, in the order in which they came."""
        return [record for record in self._unbound if record.state is CallState.WAITING]

    def among(self, view: View, record: CallRecord) -> list[InstanceRecord]:
        """The instances that a call can be bound to."""
        return [
            instance
            for instance in view.instances.values()
            if instance.configuration.stage == record.call.stage and instance.state in ALIVE
        ]

    def append(self, view: View, record: CallRecord, instance: InstanceRecord) -> Bound:
        """Bind a call to an instance: it goes to the end of the line of that instance's processor."""
        bound = Bound(record, instance, view.now, view.estimates.mean(instance.configuration, record.call.size))
        self._used[instance.name] = instance
        self.line(instance).append(bound)
        return bound

    def line(self, instance: InstanceRecord) -> Line:
        """The line of an instance's processor."""
        return self.lines.setdefault(processor_of(instance), Line())

    def free_at(self, view: View, instance: InstanceRecord) -> float:
        """When an instance's processor is expected to have run what it holds; its line comes after that."""
        last = self.line(instance).last
        return max(free_at(view, instance), view.now if last is None else free_at(view, last))

    def _next(self, view: View, line: Line) -> Bound | None:
        if not line.waiting or (line.last is not None and line.last.batches and not view.can_take(line.last)):
            return None
        if any(bound.record.state is not CallState.WAITING for bound in line.waiting):
            line.keep([bound for bound in line.waiting if bound.record.state is CallState.WAITING])
        ready = [bound for bound in line.waiting if view.can_take(bound.instance)]
        return self.select(ready, line) if ready else None

    def _release(self) -> None:
        """Let the calls of instances that went down be bound anew."""
        dead = [name for name, instance in self._used.items() if instance.state not in ALIVE]
        if not dead:
            return
        for line in self.lines.values():
            self._unbound += [bound.record for bound in line.waiting if bound.instance.state not in ALIVE]
            line.keep([bound for bound in line.waiting if bound.instance.state in ALIVE])
        for name in dead:
            del self._used[name]


def processor_of(instance: InstanceRecord) -> Processor:
    """What an instance takes turns on: its slots, or where it has none, itself."""
    return instance.places or (("", instance.name, 0),)
