"""Clockwork: only what will be in time is run, in the largest batch that is; what cannot make it is rejected at once.

Gujarati et al., "Serving DNNs like Clockwork: Performance Predictability from the Bottom Up" (OSDI'20, §4 and 5.3). A
central controller predicts how long each action takes, from the worst of its last measurements, and when each worker
will be free. It never starts what would end too late:

- a call is rejected as soon as no instance, from the moment at which it is free, would answer it in time;
- for an instance that can take a batch there is a *strategy* for each batch size: the first calls that it would answer
  in time, and the latest time at which they have to start. Larger batches have to start earlier. Of the strategies that
  can still start, the one that has to start first is taken: the most urgent calls, in the largest batch they bear.

Departures: no models are moved between memories here, as the plan says which instances are loaded; no start times are
sent to the workers, which start at once what they are given, and hold one batch in advance at most (the paper's 5 ms of
scheduled work); the worst of the last ten measurements is the 99th percentile of the operating points, corrected by
drift; on unlike machines calls that one instance would answer too late are left to the others; and in a pipeline the
time that what follows a stage needs is taken off the deadline.
"""

from collections.abc import Iterator

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.policies.openings import free_at, openings
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

WORST_PERCENT = 99

_Strategy = tuple[float, list[CallRecord]]
"""The latest time at which a batch has to start, and its calls."""


class Clockwork:
    """The strategy that has to start first, of those that end in time."""

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request; it is rejected with its first call, whose stage and size are known."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest time at which the call has to start, alone, on the fastest configuration."""
        configurations = view.capacity.configurations[record.call.stage]
        fastest = min((_run_s(view, each, record.call.size) for each in configurations), default=0.0)
        return (_deadline(view, record) - fastest,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Reject what cannot make it, then serve one strategy after the other."""
        for stage, queue in view.queues.items():
            while (head := queue.head) is not None and not _can_make_it(view, stage, head):
                yield Drop(head, Refusal.LATE, "no instance would answer it in time")
        while True:
            strategies = [
                (*strategy, instance)
                for stage, queue in view.queues.items()
                if queue
                for instance in openings(view, stage)
                if (strategy := _strategy(view, stage, instance)) is not None
            ]
            if not strategies:
                return
            latest, calls, instance = min(strategies, key=lambda each: each[0])
            yield Dispatch(instance, calls, f"has to start within {(latest - view.now) * 1e3:.1f} ms")


def _strategy(view: View, stage: str, instance: InstanceRecord) -> _Strategy | None:
    """Choose the largest batch of the first calls that an instance answers in time, if any."""
    start = free_at(view, instance)
    configuration, most = instance.configuration, instance.placement.max_batch
    calls: list[CallRecord] = []
    items, deadline, latest = 0, float("inf"), float("inf")
    for record in view.queues[stage]:
        if calls and items + record.call.size > most:
            break
        earliest = min(deadline, _deadline(view, record))
        must = earliest - _run_s(view, configuration, items + record.call.size)
        if start <= must:
            calls.append(record)
            items, deadline, latest = items + record.call.size, earliest, must
        elif calls:
            break
    return (latest, calls) if calls else None


def _can_make_it(view: View, stage: str, record: CallRecord) -> bool:
    """Whether an instance, from the moment at which it is free, would answer a call in time.

    One that is not ready, or whose slot another one has, counts as free: nothing is rejected on its account.
    """
    left = _deadline(view, record)
    for configuration in view.capacity.configurations[stage]:
        must = left - _run_s(view, configuration, record.call.size)
        if must >= view.now and (
            view.idle[configuration]
            or any(
                free_at(view, each) <= must for each in view.instances.values() if each.configuration == configuration
            )
        ):
            return True
    return False


def _deadline(view: View, record: CallRecord) -> float:
    return record.request.deadline - view.capacity.tails[record.call.stage]


def _run_s(view: View, configuration: Configuration, size: int) -> float:
    return view.estimates.quantile(configuration, size, WORST_PERCENT)
