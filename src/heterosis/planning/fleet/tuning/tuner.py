"""The tuner: between plans, how many devices of each share, and what share of the load each gets.

InferLine's (Crankshaw et al., SoCC 2020, section 5), on a fleet: up at once when arrivals exceed the envelope of the
rate that is allotted for, down no sooner than a hold-off after the last change, and never to other variants, batches or
power modes than the plan's. Where InferLine counts replicas of each model, shares are filled so that the fleet draws
least (`retuned`). The rate differs, too: InferLine takes the highest of any window, which in a short one is mostly
chance; here it is the highest of windows of `STEADY_S`, up and down, or, where more is sure already, the least rate
that explains what was seen. A load that grows will have grown on by the time that devices are there: as much as what is
sure has grown in the last `LEAD_S` is allotted for besides.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from heterosis.planning.envelope import Envelope, Rates, least_rate
from heterosis.planning.fleet.allotment import Allotment, latency_s
from heterosis.planning.fleet.options import ROUNDING, Option
from heterosis.planning.fleet.task import Task
from heterosis.planning.fleet.tuning.retuning import at_rates, retuned

STEADY_S = 5.0
"""Windows at least as long tell the rate to serve."""
MEMORY_S = 30.0
"""What is remembered of the arrivals. A device that idles for longer costs more than its start (InferLine's 30 s, too).
"""
HOLD_S = 15.0
AHEAD = 1.3
"""Of what surely comes, what there must be devices for: it lags behind a load that grows, and to wake takes time."""
LEAD_S = 5.0
"""About how long a device takes from when it is wanted until it serves: to wake, and to load."""
RETRY_S = 5.0
"""How soon it is looked at again whether fewer devices are enough, where they were not."""
LEAST = 0.5
"""Of the planned rate, what is allotted for at least: below it batches fill too slowly, and a new plan is due."""


class Retuning(msgspec.Struct, frozen=True, kw_only=True):
    """Other rates to allot for; to `solve` it takes milliseconds, which need not be those of who serves."""

    task: Task
    """At the rates to allot for."""
    planned: Allotment
    factors: Mapping[str, float]
    """The rates as multiples of those planned for, by pipeline."""
    on: Allotment
    """What runs now."""
    rises: bool
    """Whether any rate is higher than what is allotted for."""
    sure: Mapping[str, float]
    """Requests per second that there must be devices for, as more than by chance come, by pipeline."""
    reasons: tuple[str, ...]

    def solve(self) -> Allotment:
        """Return the allotment for these rates."""
        found = retuned(self.task, self.planned, factors=self.factors, on=self.on)
        return msgspec.structs.replace(found, reasons=(*self.reasons, *found.reasons))

    def needed(self) -> bool:
        """Whether what surely comes takes more than what runs: the wanted rates are estimates, and on the safe side."""
        wanted = {workload.graph.pipeline: workload.rate_rps for workload in self.task.workloads}
        factors = {name: self.sure[name] / wanted[name] * factor for name, factor in self.factors.items()}
        found = retuned(at_rates(self.task, self.sure), self.planned, factors=factors, on=self.on)
        running = _counts(self.on)
        return bool(found.reasons) or any(count > running.get(key, 0) for key, count in _counts(found).items())


class Tuner:
    """Follows the arrivals of every pipeline of a task, and adapts an allotment to them. Moments are seconds."""

    allotment: Allotment
    """What is to run now."""
    task: Task
    """At the rates that are allotted for."""

    def __init__(
        self,
        task: Task,
        planned: Allotment,
        *,
        begin: float = 0.0,
        hold_s: float = HOLD_S,
        confidence: float = 0.999,
        dispersion: float = 1.0,
    ) -> None:
        """Start from a plan for the task's rates.

        An envelope is exceeded by chance in at most a share ``1 - confidence`` of the times that are remembered, where
        the counts of arrivals have ``dispersion`` times the variance of random ones.
        """
        self._hold_s, self._confidence, self._dispersion = hold_s, confidence, dispersion
        self._envelopes = {
            workload.graph.pipeline: Envelope(min(latency_s(workload, planned), STEADY_S), MEMORY_S, MEMORY_S)
            for workload in task.workloads
        }
        self._sure: dict[str, deque[tuple[float, float]]] = {name: deque() for name in self._envelopes}
        """What was sure at each moment of the last `LEAD_S`."""
        self._whole_at = begin + MEMORY_S
        """When the envelopes have seen as much as they remember."""
        self._changed_at = dict.fromkeys(self._envelopes, begin)
        """When what is allotted for each pipeline changed last: one that grows keeps no other from falling."""
        self._tried_at = begin
        self.rates = {workload.graph.pipeline: workload.rate_rps for workload in task.workloads}
        self._adopt(task, planned)

    def note(self, pipeline: str, at: float, arrivals: int = 1) -> None:
        """Count requests of a pipeline that arrive."""
        self._envelopes[pipeline].note(at, arrivals)

    def replanned(self, task: Task, planned: Allotment, now: float) -> None:
        """Go on from another plan, with what was seen of the arrivals."""
        before = self.rates
        self._adopt(task, planned)
        self._note_changes(before, now)

    def tune(self, now: float) -> Allotment | None:
        """Return what to change to, with the reason, or None where nothing changes."""
        wanted = self.wanted(now)
        return None if wanted is None else self.take(wanted, wanted.solve(), now)

    def wanted(self, now: float) -> Retuning | None:
        """Return which rates to allot for, where those have to be others."""
        rates, sure, reasons = dict(self.rates), dict(self.rates), list[str]()
        for name in self._envelopes:
            held_until = max(self._changed_at[name] + self._hold_s, self._whole_at, self._tried_at + RETRY_S)
            may_fall = now >= held_until
            rate, surely, why = self._rate(name, self.rates[name], now)
            sure[name] = max(min(AHEAD * surely, rate), self.rates[name])
            least = LEAST * self._pipelines[name].rate_rps
            if rate > self.rates[name] or (may_fall and max(rate, least) < self.rates[name]):
                rates[name] = max(rate, least)
                reasons.append(f"{name}: {why}; allotted for {rates[name]:.4g}/s, before {self.rates[name]:.4g}/s")
        if not reasons:
            return None
        return Retuning(
            task=at_rates(self.task, rates),
            planned=self._planned,
            factors={name: rate / self._pipelines[name].rate_rps for name, rate in rates.items()},
            on=self.allotment,
            rises=any(rates[name] > before for name, before in self.rates.items()),
            sure=sure,
            reasons=tuple(reasons),
        )

    def take(
        self, wanted: Retuning, found: Allotment, now: float, rates: Mapping[str, float] | None = None
    ) -> Allotment | None:
        """Take what was found for the rates that were wanted, or for others; return it where it is not what runs."""
        same = _counts(found) == _counts(self.allotment)
        if same and not wanted.rises:
            self._tried_at = now
            return None
        before = self.rates
        self.task, self.allotment = at_rates(wanted.task, rates or {}), found
        self.rates = {workload.graph.pipeline: workload.rate_rps for workload in self.task.workloads}
        if same:
            return None
        self._note_changes(before, now)
        return found

    def least(self, now: float) -> dict[str, float]:
        """The rates that surely come now, by pipeline: what was seen is too unlikely for less."""
        return {name: self._least(envelope, envelope.rates(now)) for name, envelope in self._envelopes.items()}

    def most(self, now: float) -> dict[str, float]:
        """The highest rates of late, in windows of `STEADY_S`, by pipeline."""
        return {name: _steady(envelope, envelope.rates(now))[1] for name, envelope in self._envelopes.items()}

    @property
    def at_least(self) -> bool:
        """Whether a plan is due, since what it is for is far more than what comes: no less of it is allotted for."""
        return any(rate <= LEAST * self._pipelines[name].rate_rps * (1 + ROUNDING) for name, rate in self.rates.items())

    def _adopt(self, task: Task, planned: Allotment) -> None:
        self._planned, self.allotment, self.task = planned, planned, task
        self._pipelines = {workload.graph.pipeline: workload for workload in task.workloads}
        self.rates = {name: workload.rate_rps for name, workload in self._pipelines.items()}

    def _note_changes(self, before: Mapping[str, float], now: float) -> None:
        for name, rate in self.rates.items():
            if rate != before[name]:
                self._changed_at[name] = now

    def _growth(self, name: str, sure: float, now: float) -> float:
        """By how much what is sure has grown of late, in requests per second."""
        history = self._sure[name]
        history.append((now, sure))
        while history[0][0] < now - LEAD_S:
            history.popleft()
        if now < self._whole_at - MEMORY_S + 2 * LEAD_S:
            return 0.0  # what grows is what is known
        return max(sure - history[0][1], 0.0)

    def _rate(self, name: str, allotted: float, now: float) -> tuple[float, float, str]:
        """The rate to allot for by what one pipeline's envelope says, what surely comes, and why."""
        envelope = self._envelopes[name]
        rates = envelope.rates(now)
        sure = self._least(envelope, rates)
        window_s, steady = _steady(envelope, rates)
        growth = self._growth(name, sure, now)
        if sure + growth > allotted:
            return max(sure, steady) + growth, sure + growth, f"at least {sure:.4g}/s come, more than by chance"
        return min(max(sure, steady), allotted), sure, f"at most {steady:.4g}/s came in any {window_s:.3g} s of late"

    def _least(self, envelope: Envelope, rates: Rates) -> float:
        return least_rate(
            rates, envelope.windows_s, envelope.starts, confidence=self._confidence, dispersion=self._dispersion
        )


def _steady(envelope: Envelope, rates: Rates) -> tuple[float, float]:
    """The window that tells the rate to serve, and its rate."""
    return next(pair for pair in zip(envelope.windows_s, rates, strict=True) if pair[0] >= STEADY_S * (1 - ROUNDING))


def _counts(allotment: Allotment) -> dict[tuple[Option, ...], int]:
    """Devices of each share, by what they host."""
    return {tuple(host.option for host in share.hosts): share.count for share in allotment.shares}
