"""MAEL: the requests of a window are assigned together, by the least sum of expected latencies.

Minimum average expected latency, the scheduler that SLO-MAEL is measured against and builds on (Seo et al., "SLO-Aware
Inference Scheduler for Heterogeneous Processors in Edge Platforms", ACM TACO 2021, and its public code).
A baseline for comparison only: patents are held on the method. It is never a default.

- Requests wait for the end of a window of 10 ms. Then every combination of processors for them is tried, six requests
  at a time (see `joint_search`), and each is bound to the line of its processor.
- How busy a processor is, is book-kept open-loop: each window takes 10 ms off its load (0 at the least), each request
  adds its profiled run time. When batches really end is not looked at, nor is the profile corrected by what was seen.
- An idle processor takes the call of shortest run time in its line; the keys of those that wait on are divided by 10,
  so that they are not passed over for long.

Departures: windows are those of the clock, [k W, (k + 1) W). Where a call has more than three processors, fewer
are assigned together, so that no more than 3^6 combinations are tried. Where stages follow, a call's deadline is the
request's less the time that must be left for them.
"""

from collections.abc import Iterator, Sequence

from heterosis.scheduling.estimates import Estimates
from heterosis.scheduling.policies.early_binding import Bound, EarlyBinding, Line, Processor, processor_of
from heterosis.scheduling.policies.joint_search import Candidate, Score, chunk_size, search
from heterosis.scheduling.policy import Decision, Wake
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Plan

WINDOW_S = 0.01
CHUNK = 6
"""Requests that are assigned together, at most."""
AGEING = 10.0
ROUNDING = 1e-6
"""Of a window: a timer set for the end of one rings in the next."""


class Mael(EarlyBinding):
    """Joint assignment by window; shortest run time first at each processor."""

    def __init__(
        self, reason: str = "least expected latency", *, score: Score | None = None, chunk: int = CHUNK
    ) -> None:
        """Search by a score, or where there is none, by the sum of expected latencies."""
        super().__init__(reason)
        self._score = score
        self._chunk = chunk
        self.loads_ms: dict[Processor, float] = {}
        """How long each processor is busy, as far as this policy knows."""
        self._since: dict[str, int] = {}
        """The window in which each call that is not bound yet began to wait."""
        self._window: int | None = None
        self._profile: tuple[Plan, Estimates] | None = None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By arrival of the request; the call is bound at the end of the window."""
        self._since[record.call.id] = _window(view.now)
        return super().priority(view, record)

    def bind(self, view: View) -> Iterator[Decision]:
        """At the end of a window, bind what came in it; ask again at the end of this one where there is need."""
        window = _window(view.now)
        ended_ms = 0.0 if self._window is None else (window - self._window) * WINDOW_S * 1e3
        self._window = window
        self.loads_ms = {each: max(0.0, load - ended_ms) for each, load in self.loads_ms.items()}
        waiting = self.unbound()
        fresh = [record for record in waiting if self._since.get(record.call.id) == window]
        due = [record for record in waiting if self._since.get(record.call.id) != window]
        self._since = {record.call.id: window for record in fresh}
        self._unbound = fresh
        if due:
            self._unbound = self._assign(view, self.due(view, due)) + fresh
        if fresh:
            yield Wake((window + 1) * WINDOW_S, "the end of the window")

    def due(self, view: View, records: list[CallRecord]) -> list[CallRecord]:  # noqa: ARG002
        """Which calls to assign, in which order, when these are to be."""
        return records

    def key(self, bound: Bound, deadline_s: float) -> float:  # noqa: ARG002
        """What lines are ordered by, the least first; ``deadline_s`` is the time that the call has in all."""
        return bound.run_s

    def select(self, ready: Sequence[Bound], line: Line) -> Bound:
        """The shortest; those that wait on grow shorter with each call that is taken."""
        chosen = min(ready, key=lambda bound: bound.key)
        for bound in line.waiting:
            bound.key /= AGEING
        return chosen

    def time_s(self, view: View, record: CallRecord) -> float:
        """The time that a call has from the arrival of its request."""
        return record.request.deadline - view.capacity.tails[record.call.stage] - record.request.arrival

    def _assign(self, view: View, due: list[CallRecord]) -> list[CallRecord]:
        """Bind calls to processors, a chunk at a time; give back those that have none."""
        profile = self._profiled(view)
        options = [(record, self.among(view, record)) for record in due]
        able = [(record, among) for record, among in options if among]
        homeless = [record for record, among in options if not among]
        largest = max((len(among) for _, among in able), default=1)
        size = chunk_size(largest, self._chunk)
        for start in range(0, len(able), size):
            chunk = able[start : start + size]
            candidates = [self._candidate(view, record, among, profile) for record, among in chunk]
            chosen, self.loads_ms = search(candidates, self.loads_ms, self._score)
            for (record, among), candidate, number in zip(chunk, candidates, chosen, strict=True):
                bound = self.append(view, record, among[number])
                bound.run_s = candidate.run_ms[number] / 1e3
                bound.key = self.key(bound, self.time_s(view, record))
        return homeless

    def _candidate(self, view: View, record: CallRecord, among: list[InstanceRecord], profile: Estimates) -> Candidate:
        return Candidate(
            self.time_s(view, record) * 1e3,
            tuple(processor_of(instance) for instance in among),
            tuple(profile.mean(instance.configuration, record.call.size) * 1e3 for instance in among),
        )

    def _profiled(self, view: View) -> Estimates:
        """The plan's figures as they were measured, without the drift seen since."""
        if self._profile is None or self._profile[0] is not view.plan:
            self._profile = (view.plan, Estimates(view.plan.points))
        return self._profile[1]


def _window(now: float) -> int:
    return int(now / WINDOW_S + ROUNDING)
