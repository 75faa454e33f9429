"""KAIROS: calls are matched with instances, idle and busy, by a linear assignment (HPDC'23, query distribution).

"KAIROS: Building Cost-Efficient Machine Learning Inference Systems with Heterogeneous Cloud Resources", and its public
artifact. Followed to the letter:

- One central queue, first come first served; an instance runs one call at a time.
- The first min(queue, 2 N) calls are matched with all N ready instances, busy ones included. A pair costs
  ``C_j (left_j + L_ij)``: the time in ms until instance j has finished what it runs, and the profiled mean of the call
  on it, at the next larger profiled size. ``C_j = L_base / L_j`` at the largest profiled size, rounded to two places.
- A pair without enough slack (QoS - waited - left_j - L_ij) costs 1000; with less than 2 % of the QoS, 500. Calls that
  are late already are not penalised.
- Only pairs whose instance is idle are dispatched; the rest is forgotten, and matched anew after the next event.

Departures: the base type is the one that is fastest at the largest profiled size (the artifact names it by hand); a
call's QoS is the latency objective of its own request; the order in the queue is that of the requests' arrival, also
for a call that waits again because its instance went down. An instance whose slot another one has taken counts as busy.
Where no instance is idle nothing is matched, since nothing could be dispatched. Profiled means stay as they were
measured: KAIROS does not learn drift.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policy import Decision, Dispatch
from heterosis.scheduling.queues import Queue
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.scheduling.states import InstanceState
from heterosis.scheduling.view import View
from heterosis.terms import Configuration, Plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NO_SLACK_COST = 1000.0
LITTLE_SLACK_COST = 500.0
LITTLE_SLACK = 0.02
"""The share of the QoS below which slack is little."""
CALLS_PER_INSTANCE = 2


class Kairos(Fcfs):
    """Matches calls with instances at least cost."""

    reason = "matched at least cost"

    def __init__(self) -> None:
        """Know no stage yet."""
        self._profiles: dict[str, _Profile] = {}

    def decide(self, view: View) -> Iterator[Decision]:
        """Match the calls of each stage that has an idle instance."""
        for stage, queue in view.queues.items():
            if queue and any(view.idle[each] for each in view.capacity.configurations[stage]):
                yield from self._match(view, stage, queue)

    def _match(self, view: View, stage: str, queue: Queue) -> Iterator[Dispatch]:
        from scipy.optimize import linear_sum_assignment

        instances = [
            instance
            for instance in view.instances.values()
            if instance.state is InstanceState.READY and instance.configuration.stage == stage
        ]
        calls = queue.first(CALLS_PER_INSTANCE * len(instances))
        profile = self._profiles.get(stage)
        if profile is None:
            profile = self._profiles[stage] = _Profile(view.plan, stage)
        pairs = zip(*linear_sum_assignment(_costs(view, profile, calls, instances)), strict=True)
        for row, column in pairs:
            if view.can_take(instances[column]) and not instances[column].batches:
                yield Dispatch(instances[column], (calls[row],), self.reason)


def _costs(view: View, profile: "_Profile", calls: list[CallRecord], instances: list[InstanceRecord]) -> "Floats":
    """Cost of each call (row) on each instance (column)."""
    import numpy as np

    now = view.now
    columns = [profile.column[instance.configuration] for instance in instances]
    run_ms = np.array([profile.run_ms(record.call.size) for record in calls])[:, columns]
    finish_ms = run_ms + _left_ms(view, instances)
    qos_ms = np.array([1e3 * (record.request.deadline - record.request.arrival) for record in calls])
    left_ms = np.array([1e3 * (record.request.deadline - now) for record in calls])
    slack_ms = left_ms[:, None] - finish_ms
    costs: Floats = finish_ms * profile.coefficients[columns]
    in_time = (left_ms >= 0)[:, None]
    costs[in_time & (slack_ms < LITTLE_SLACK * qos_ms[:, None])] = LITTLE_SLACK_COST
    costs[in_time & (slack_ms < 0)] = NO_SLACK_COST
    return costs


def _left_ms(view: View, instances: list[InstanceRecord]) -> list[float]:
    """Time until each instance, or whoever else has its slots, has finished what it runs."""
    ends = {
        place: instance.batches[-1].expected_end
        for instance in view.instances.values()
        if instance.batches
        for place in instance.places
    }
    now = view.now
    return [
        1e3
        * max(
            (
                0.0,
                *(ends.get(place, now) - now for place in instance.places),
                *(batch.expected_end - now for batch in instance.batches),
            )
        )
        for instance in instances
    ]


class _Profile:
    """Profiled means of one stage, a column for each of its configurations, in milliseconds."""

    def __init__(self, plan: Plan, stage: str) -> None:
        import numpy as np

        points = [point for point in plan.points if point.configuration.stage == stage]
        self._estimates = Estimates(points)
        self._sizes = sorted({point.batch for point in points})
        self._known: dict[int, list[float]] = {}
        found = (each.configuration for each in plan.placements if each.configuration.stage == stage)
        self.column: dict[Configuration, int] = {each: place for place, each in enumerate(dict.fromkeys(found))}
        largest = np.array(self.run_ms(self._sizes[-1] if self._sizes else 1))
        self.coefficients: Floats = np.round(largest.min() / np.maximum(largest, np.finfo(float).tiny), 2)

    def run_ms(self, size: int) -> list[float]:
        """Mean run time of a call on each configuration, at the next larger profiled size."""
        known = self._known.get(size)
        if known is None:
            rounded = next((each for each in self._sizes if each >= size), size)
            known = [1e3 * self._estimates.mean(configuration, rounded) for configuration in self.column]
            self._known[size] = known
        return known
