"""Ours: late binding, earliest deadline among the feasible, hopeless requests refused early, least energy under slack.

- A call's deadline is its request's, less the time that must be left for what follows its stage (the plan's tail).
- Among the stages whose head could run now, the one with the earliest call deadline goes first.
- A call is hopeless when not even the fastest configuration, started now, would meet its request's deadline at the
  median; it is dropped at once, so that it costs nothing more.
- Of the configurations with an instance that can take a batch, the one of least energy per item that meets the call's
  deadline at the 95th percentile is taken; where none does, the fastest.
- The batch is as large as lets its earliest call meet its deadline, but calls are first spread over idle instances: a
  request with a wide fan-out is done sooner on all of them.
- A request is refused at its arrival when the work already admitted, spread over all slots, leaves it no time.

Ideas: late binding and feasible-first are worth more than joint search (see docs, design principles); early refusal as
in Clockwork (OSDI'20, §4.2); deadlines less downstream time as in PARD.
"""

from collections.abc import Iterator

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.policy import Decision, Dispatch, Drop, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request

SAFE_PERCENT = 95
"""The percentile of a run time that has to fit before a deadline."""


class Heterosis:
    """Earliest feasible deadline first, on the configuration of least energy that meets it."""

    def admit(self, view: View, request: Request) -> Refuse | None:
        """Refuse what the work already admitted leaves no time for."""
        work = view.capacity.work_of_request(request.size)
        finish = view.now + (view.backlog + work) / view.capacity.slots
        late = finish - request.deadline
        if late <= 0 or view.backlog <= 0:
            return None
        return Refuse(
            Refusal.OVERLOAD,
            f"{view.backlog:.3f} s of admitted work leave no time before the deadline",
            retry_after_s=late,
        )

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the deadline of the call."""
        return (record.request.deadline - view.capacity.tails.get(record.call.stage, 0.0),)

    def decide(self, view: View) -> Iterator[Decision]:
        """Drop hopeless heads, then serve the earliest deadline that some instance can take, until none can."""
        yield from self._hopeless(view)
        while True:
            heads = [
                (head.priority, stage)
                for stage, queue in view.queues.items()
                if (head := queue.head()) is not None and self._open(view, stage)
            ]
            if not heads:
                return
            yield self._serve(view, min(heads)[1])

    def _hopeless(self, view: View) -> Iterator[Drop]:
        for stage, queue in view.queues.items():
            configurations = view.capacity.configurations.get(stage, ())
            fastest = min((view.estimates.mean(each, 1) for each in configurations), default=0.0)
            while (head := queue.head()) is not None and view.now + fastest > head.request.deadline:
                yield Drop(head, Refusal.LATE, f"needs {fastest * 1e3:.0f} ms, its deadline is too near")

    def _serve(self, view: View, stage: str) -> Dispatch:
        queue = view.queues[stage]
        head = queue.head()
        assert head is not None  # noqa: S101
        configuration, fits = self._choose(view, stage, head)
        idle = view.idle(configuration)
        instance = next(iter(idle or view.spare(configuration)))
        count = self._batch(view, instance, head, waiting=len(queue), idle=len(idle))
        reason = f"deadline in {(head.priority[0] - view.now) * 1e3:.0f} ms, " + (
            "least energy in time" if fits else "nothing fits, fastest"
        )
        return Dispatch(instance, queue.first(count), reason)

    @staticmethod
    def _open(view: View, stage: str) -> list[Configuration]:
        """Configurations that can take a batch; instances that run one are filled only while none is idle."""
        configurations = view.capacity.configurations.get(stage, ())
        return [each for each in configurations if view.idle(each)] or [
            each for each in configurations if view.spare(each)
        ]

    def _choose(self, view: View, stage: str, head: CallRecord) -> tuple[Configuration, bool]:
        candidates = self._open(view, stage)
        left = head.priority[0] - view.now
        fitting = [each for each in candidates if view.estimates.quantile(each, 1, SAFE_PERCENT) <= left]
        if not fitting:
            return min(candidates, key=lambda each: view.estimates.mean(each, 1)), False
        return min(fitting, key=lambda each: (_joules(view, each), view.estimates.mean(each, 1))), True

    @staticmethod
    def _batch(view: View, instance: InstanceRecord, head: CallRecord, *, waiting: int, idle: int) -> int:
        largest = min(instance.placement.max_batch, -(-waiting // max(idle, 1)))
        left = head.priority[0] - view.now
        while largest > 1 and view.estimates.quantile(instance.configuration, largest, SAFE_PERCENT) > left:
            largest -= 1
        return largest


def _joules(view: View, configuration: Configuration) -> float:
    joules = view.estimates.joules(configuration, 1)
    return float("inf") if joules is None else joules
