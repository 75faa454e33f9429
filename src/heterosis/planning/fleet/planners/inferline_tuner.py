"""InferLine's tuner: between plans, replicas follow the traffic envelope of each stage.

Crankshaw et al., "InferLine" (SoCC 2020, §5). The envelope holds the highest rate of late in windows that double from
the pipeline's service time to a minute. Where it exceeds that of the planned load in any window, each stage gets

    k = ceil(r s / (mu rho))

replicas for the highest rate ``r`` that exceeds, ``s`` calls of the stage by a request, ``mu`` calls per second of a
replica, and the utilisation ``rho`` that the plan gave the stage. Replicas go only 15 s after the last change, down to
what the highest rate of 30 s ago or less needs. The planned envelope is that of Poisson arrivals at the planned rate
(`poisson_envelope`), where the paper takes it from a sample of the trace.
"""

import math
from collections.abc import Mapping

import msgspec

from heterosis.planning.envelope import LONGEST_S, Envelope, poisson_envelope
from heterosis.planning.fleet.allotment import Allotment, Share
from heterosis.planning.fleet.planners.servers import ROUNDING
from heterosis.planning.fleet.task import Task

HOLD_S = 15.0
RECENT_S = 30.0
STEP_S = 5.0
"""Length of the windows whose highest rate of late decides how far down replicas go."""


class Tuner:
    """Follows the arrivals of one pipeline; a planned share is one stage's."""

    def __init__(self, task: Task, planned: Allotment) -> None:
        """Start from a plan of `inferline` for the task."""
        self._task, self.allotment = task, planned
        self._planned = planned
        rate = task.workloads[0].rate_rps
        self._calls = {share.hosts[0].option.stage: share.hosts[0].per_s / rate for share in planned.shares}
        self._busy = {share.hosts[0].option.stage: _busy(task, share) for share in planned.shares}
        shortest_s = min(sum(share.hosts[0].option.run_s for share in planned.shares), LONGEST_S)
        self._envelope = Envelope(shortest_s)
        self._recent = Envelope(STEP_S, STEP_S, RECENT_S)
        self._allowed = poisson_envelope(rate, self._envelope.windows_s, self._envelope.starts)
        self._changed_at = 0.0

    def note(self, at: float) -> None:
        """Count a request."""
        self._envelope.note(at)
        self._recent.note(at)

    def tune(self, now: float) -> Allotment:
        """Return what is to run from now on: as much as the fleet allows, stages first that need most."""
        rates = self._envelope.rates(now)
        above = [rate for rate, allowed in zip(rates, self._allowed, strict=True) if rate > allowed]
        counts = {share.hosts[0].option.stage: share.count for share in self.allotment.shares}
        if above:
            wanted = self._replicas(max(above))
            wanted = {stage: max(count, counts[stage]) for stage, count in wanted.items()}
        elif now - self._changed_at >= HOLD_S:
            wanted = self._replicas(self._recent.rates(now)[0])
            wanted = {stage: min(count, counts[stage]) for stage, count in wanted.items()}
        else:
            return self.allotment
        wanted = self._within(wanted)
        if wanted != counts:
            self._changed_at = now
            self.allotment = _with(self.allotment, wanted)
        return self.allotment

    def _replicas(self, rate: float) -> dict[str, int]:
        found = {}
        for share in self._planned.shares:
            stage = share.hosts[0].option.stage
            needed = rate * self._calls[stage] / (_per_s(self._task, share) * self._busy[stage])
            found[stage] = max(1, math.ceil(needed - ROUNDING))
        return found

    def _within(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Scale down to the fleet: one replica at a time, from the stage with the most for its demand."""
        found = dict(wanted)
        for number, kind in enumerate(self._task.kinds):
            of = [share for share in self._planned.shares if share.group[0] == number]
            while sum(found[share.hosts[0].option.stage] for share in of) > len(kind.units):
                richest = max(of, key=lambda share: self._covered(share, found))
                found[richest.hosts[0].option.stage] -= 1
        return found

    def _covered(self, share: Share, counts: Mapping[str, int]) -> float:
        stage = share.hosts[0].option.stage
        left = counts[stage] - 1
        return left * _per_s(self._task, share) / self._calls[stage] if left else 0.0


def _per_s(task: Task, share: Share) -> float:
    """Calls per second of one device of a share that is never idle."""
    return task.kinds[share.group[0]].slots / share.hosts[0].option.slot_s


def _busy(task: Task, share: Share) -> float:
    return share.hosts[0].per_s / (share.count * _per_s(task, share))


def _with(found: Allotment, counts: Mapping[str, int]) -> Allotment:
    shares = (msgspec.structs.replace(share, count=counts[share.hosts[0].option.stage]) for share in found.shares)
    return msgspec.structs.replace(found, shares=tuple(shares))
