"""SynergAI: the most urgent call first, on the worker and in the configuration that still make its target.

Stathopoulou et al., "SynergAI: Edge-to-Cloud Synergy for Architecture-Driven High-Performance Orchestration for AI
Inference" (ACM TECS 2025, arXiv 2509.12252). The paper describes its online rule in words; what stands here is our
reconstruction of it:

- ``exec`` of a job on a worker in a configuration is its start-up time and its queries over the queries per second
  found offline: the mean of the operating points at the call's size. ``remaining`` is the target less the time since
  the arrival, ``urgency`` is ``remaining`` less the least ``exec`` anywhere. Calls are gone through by rising urgency.
- A call takes an idle worker and a configuration with which it makes its target. Nothing is said of the choice among
  several: ``synergai`` takes the one of least ``exec``, as the rule does in its last resort, and
  ``synergai:least-energy`` the one of least energy.
- Where none does, it waits if a busy worker, when free again, would still make it. Nothing is kept for it, so the calls
  after it may go first.
- Otherwise it runs on the idle worker of least ``exec``, as well as it can.
- Nothing is preempted, nothing dropped, and calls run one at a time.

Departures: a worker is the slots that its instances share, so that an instance for each configuration on one slot is
"a worker in a configuration"; figures found offline are corrected by the drift seen since, as for every policy here;
the time that what follows a stage needs is taken off a call's target (the paper's jobs have one stage).
"""

from collections import defaultdict
from collections.abc import Iterator
from heapq import merge

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.policy import Decision, Dispatch, Refuse
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority, Unit
from heterosis.scheduling.states import InstanceState
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Request


class SynergAI:
    """Rising urgency; idle and feasible, else wait for a busy one that is, else as well as it can."""

    def __init__(self, *, least_energy: bool = False) -> None:
        """Choose among what makes the target by execution time, or by energy."""
        self._least_energy = least_energy

    def admit(self, view: View, request: Request) -> Refuse | None:  # noqa: ARG002
        """Admit every request."""
        return None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By urgency; all calls grow urgent at the same pace, so their order is known when they begin to wait."""
        configurations = view.capacity.configurations[record.call.stage]
        least = min((_exec(view, record, each) for each in configurations), default=0.0)
        return (_target(view, record) - least,)

    def decide(self, view: View) -> Iterator[Decision]:
        """Go through the waiting calls by rising urgency, as long as a worker is idle."""
        stages = [stage for stage in view.queues if self._idle(view, stage)]
        busy: dict[Configuration, float] | None = None
        for record in merge(*(view.queues[stage] for stage in stages), key=lambda each: each.priority):
            idle = self._idle(view, record.call.stage)
            if not idle:
                continue
            left = _target(view, record) - view.now
            feasible = [each for each in idle if _exec(view, record, each) <= left]
            if feasible:
                best, reason = self._choose(view, record, feasible)
            else:
                if busy is None:
                    busy = _free_again(view)
                if self._worth_waiting(view, record, busy):
                    continue
                best = min(idle, key=lambda each: _exec(view, record, each))
                reason = "no worker makes its target, least execution time"
            yield Dispatch(next(iter(view.idle[best].values())), (record,), reason)
            busy = None
            if not any(self._idle(view, stage) for stage in stages):
                return

    def _choose(self, view: View, record: CallRecord, feasible: list[Configuration]) -> tuple[Configuration, str]:
        if self._least_energy:
            return min(feasible, key=lambda each: _joules(view, record, each)), "least energy in target"
        return min(feasible, key=lambda each: _exec(view, record, each)), "least execution time in target"

    @staticmethod
    def _idle(view: View, stage: str) -> list[Configuration]:
        return [each for each in view.capacity.configurations[stage] if view.idle[each]]

    @staticmethod
    def _worth_waiting(view: View, record: CallRecord, busy: dict[Configuration, float]) -> bool:
        """Whether a worker that is busy now would still make the target."""
        return any(
            each in busy and busy[each] + _exec(view, record, each) <= _target(view, record)
            for each in view.capacity.configurations[record.call.stage]
        )


def _exec(view: View, record: CallRecord, configuration: Configuration) -> float:
    return view.estimates.mean(configuration, record.call.size)


def _joules(view: View, record: CallRecord, configuration: Configuration) -> float:
    joules = view.estimates.joules(configuration, record.call.size)
    return float("inf") if joules is None else joules


def _target(view: View, record: CallRecord) -> float:
    return record.request.deadline - view.capacity.tails[record.call.stage]


def _free_again(view: View) -> dict[Configuration, float]:
    """When the first busy worker of each configuration is expected to be free."""
    ends: dict[Place, float] = {}
    running: dict[Unit, dict[str, float]] = defaultdict(dict)
    for instance in view.instances.values():
        if instance.batches:
            end = max(instance.batches[-1].expected_end, view.now)
            ends.update(dict.fromkeys(instance.places, end))
            modes, mode = running[instance.unit], instance.configuration.power_mode
            modes[mode] = max(end, modes.get(mode, 0.0))
    found: dict[Configuration, float] = {}
    for instance in view.instances.values():
        if instance.state is InstanceState.READY and (instance.batches or not view.can_take(instance)):
            free = _free(view, instance, ends, running[instance.unit])
            found[instance.configuration] = min(free, found.get(instance.configuration, free))
    return found


def _free(view: View, instance: InstanceRecord, ends: dict[Place, float], running: dict[str, float]) -> float:
    """When an instance has run what it holds, its slots are free and its device runs in no other power mode."""
    own = max(instance.batches[-1].expected_end, view.now) if instance.batches else view.now
    slots = [ends[place] for place in instance.places if place in ends]
    others = [end for mode, end in running.items() if mode != instance.configuration.power_mode]
    return max((own, *slots, *others))
