"""Devices as domains of one power mode: which are open to a call, and in which mode each runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority, Unit
from heterosis.scheduling.view import View
from heterosis.terms import Configuration


@dataclass(slots=True)
class Domain:
    """A device that could run a call now; while it runs something, in one power mode only."""

    unit: Unit
    free: int = 0
    """Instances that could, in the configuration that has most: slots that are free, where each takes one."""
    open: dict[Configuration, InstanceRecord] = field(default_factory=dict)
    """An instance of each configuration that could."""


class ByDeadline(Fcfs):
    """Calls in the order of their requests' deadlines, less the time that what follows them takes."""

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest moment to be done."""
        return (latest(view, record),)


def latest(view: View, record: CallRecord) -> float:
    """The latest moment at which a call may be done: its request's deadline, less what follows at full speed."""
    return record.request.deadline - view.capacity.tails[record.call.stage]


def heads(view: View) -> list[CallRecord]:
    """The first waiting call of each stage that something is free for, the most urgent first."""
    found = (
        queue.head
        for stage, queue in view.queues.items()
        if queue and any(view.idle[each] for each in view.capacity.configurations[stage])
    )
    return sorted((head for head in found if head is not None), key=lambda head: head.priority)


def domains(view: View, head: CallRecord) -> list[Domain]:
    """The devices on which a call could run now."""
    found: dict[Unit, Domain] = {}
    for configuration in view.capacity.configurations[head.call.stage]:
        free: dict[Unit, int] = {}
        for instance in view.idle[configuration].values():
            unit = instance.unit
            free[unit] = free.get(unit, 0) + 1
            if free[unit] == 1:
                found.setdefault(unit, Domain(unit)).open[configuration] = instance
        for unit, count in free.items():
            found[unit].free = max(found[unit].free, count)
    return list(found.values())


def running(view: View) -> Iterator[tuple[float, InstanceRecord]]:
    """What runs now, a slot at a time, with the moment at which it is expected to be done."""
    for group in view.capacity.members:
        for end, name in view.ends[group]:
            yield end, view.instances[name]
