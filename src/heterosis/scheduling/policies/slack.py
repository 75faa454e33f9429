"""Staged slack: each call runs in the configuration of least energy that its share of the time left allows.

After Ωkypous (arXiv 2407.18386), which runs the functions of a serverless workflow on cores whose clock it sets for
each invocation: latency budgets are shared out along the critical path before deployment and again, from the slack
gained or lost, when a function starts; a predictor of latency and power for each pair of core and uncore frequencies
gives the pair of lowest power that keeps the budget. As reconstructed from its description:

- the budget of a call is the time left until its request's deadline, times the share that the call has of what remains
  of the path: ``B = left * fastest / (fastest + tail)``, all at full speed;
- of the configurations whose corrected time is at most ``B * (1 - MARGIN)`` the cheapest is taken; where none is, the
  fastest.

Departures: a configuration may differ in device, variant and threads as well as in its power mode (the frequencies);
cheapest is in joules for the call's items, not in watts; the correction, an average of measured over predicted times
with exponential weights, is the drift that all policies see, and is kept by configuration, not by function.
Calls are taken in the order in which their requests arrived, one at a time, by whatever is free; the paper's functions
have their cores for themselves.

`heterosis.scheduling.policies.slack_joules` is what we make of it.

Shared clocks: the paper brings a domain to the highest of the demands made on it. Here a device keeps the power mode in
which it runs something until it runs nothing (a rule of the core); who comes meanwhile chooses among the configurations
that are open, the mode in force among them.
"""

from collections.abc import Iterator

from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policy import Decision, Dispatch
from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View
from heterosis.terms import Configuration

MARGIN = 0.1
"""Share of a budget that is kept free, against times that exceed their mean; the paper gives no figure."""


class Slack(Fcfs):
    """First come, first served; least energy within the budget."""

    def decide(self, view: View) -> Iterator[Decision]:
        """Serve the earliest request that something is free for, until none is."""
        while True:
            heads = [
                (head.priority, stage, head)
                for stage, queue in view.queues.items()
                if (head := queue.head) is not None and _open(view, stage)
            ]
            if not heads:
                return
            _, stage, head = min(heads, key=lambda entry: entry[:2])
            yield self._serve(view, stage, head)

    @staticmethod
    def _serve(view: View, stage: str, head: CallRecord) -> Dispatch:
        budget = _budget(view, stage, head)
        size = head.call.size
        open_now = _open(view, stage)
        fitting = [each for each in open_now if view.estimates.mean(each, size) <= budget * (1 - MARGIN)]
        if fitting:
            best = min(fitting, key=lambda each: (_joules(view, each, size), view.estimates.mean(each, size)))
            reason = f"least energy within {budget * 1e3:.0f} ms"
        else:
            best = min(open_now, key=lambda each: view.estimates.mean(each, size))
            reason = f"nothing keeps {budget * 1e3:.0f} ms, full speed"
        return Dispatch(next(iter(view.idle[best].values())), (head,), reason)


def _budget(view: View, stage: str, head: CallRecord) -> float:
    """The call's share of the time that is left, in seconds; negative when it is late."""
    configurations = view.capacity.configurations[stage]
    fastest = min(view.estimates.mean(each, head.call.size) for each in configurations)
    tail = view.capacity.tails[stage]
    left = head.request.deadline - view.now
    return left * fastest / (fastest + tail) if fastest + tail > 0 else left


def _open(view: View, stage: str) -> list[Configuration]:
    return [each for each in view.capacity.configurations[stage] if view.idle[each]]


def _joules(view: View, configuration: Configuration, size: int) -> float:
    joules = view.estimates.joules(configuration, size)
    return float("inf") if joules is None else joules
