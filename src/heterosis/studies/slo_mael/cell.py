"""One cell of the study: one policy under one load, over seeds and mixes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from heterosis.simulation import Simulator
from heterosis.simulation.service import LogNormalTimes
from heterosis.simulation.simulator import _Running
from heterosis.studies.slo_mael.setting import MIXES, MODELS, NOISE, arrivals, make_plan


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run."""

    requests: dict[str, int]
    """That arrived, by model."""
    violations: dict[str, int]
    """Late, refused or dropped."""
    excess_ms: float
    """Milliseconds beyond the deadline, over all requests that were answered."""
    lost: int
    """Refused or dropped."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the study. Shares are in per cent, intervals are 95 % Student t intervals over the runs."""

    n: float
    """Deadlines are this multiple of a model's base time."""
    intensity: float
    bias: float
    """What the real run times are, as a multiple of the profile's."""
    policy: str
    violations: float
    """Requests late, refused or dropped; the mean over the runs."""
    violations_low: float
    violations_high: float
    excess_ms: float
    """Time beyond the deadline, averaged over all answered requests, 0 for those in time."""
    worst_class_violations: float
    """The largest of ``classes``."""
    classes: dict[str, float]
    """Violations of each model's requests, all runs taken together."""
    lost: float
    """Requests refused or dropped: part of the violations."""
    runs: int


class _Recorder(Simulator):
    """A simulator that notes lateness by class."""

    lateness_ms: list[tuple[str, float]]

    def _end(self, running: _Running) -> None:
        request = running.request
        self.lateness_ms.append((request.request_class, (self._kernel.now - request.deadline) * 1e3))
        super()._end(running)


def one_run(n: float, intensity: float, bias: float, policy: str, mix: int, seed: int) -> Run:
    """Simulate one seed of one mix."""
    plan = make_plan(policy, n, intensity, mix)
    simulator = _Recorder(plan, seed=seed, bias=bias, service=LogNormalTimes(plan, NOISE))
    simulator.lateness_ms = []
    load = arrivals(n, intensity, mix, seed)
    simulator.run(load)
    requests = Counter(arrival.request_class for arrival in load)
    good = Counter(model for model, late_ms in simulator.lateness_ms if late_ms <= 0)
    late = [late_ms for _, late_ms in simulator.lateness_ms if late_ms > 0]
    return Run(
        requests=dict(requests),
        violations={model: count - good[model] for model, count in requests.items()},
        excess_ms=sum(late) / max(len(simulator.lateness_ms), 1),
        lost=len(load) - len(simulator.lateness_ms),
    )


def cell(*, n: float, intensity: float, policy: str, bias: float = 1.0, seeds: int = 10) -> Row:
    """Run one cell here and now: every mix under so many seeds."""
    runs = [one_run(n, intensity, bias, policy, mix, seed) for mix in range(len(MIXES)) for seed in range(seeds)]
    return summary(n, intensity, bias, policy, runs)


def summary(n: float, intensity: float, bias: float, policy: str, runs: Sequence[Run]) -> Row:
    """Summarise the runs of one cell."""
    shares = [_percent(sum(run.violations.values()), sum(run.requests.values())) for run in runs]
    low, high = _interval(shares)
    classes = {
        model: _percent(_total(run.violations for run in runs)[model], _total(run.requests for run in runs)[model])
        for model in MODELS
    }
    return Row(
        n=n,
        intensity=intensity,
        bias=bias,
        policy=policy,
        violations=float(np.mean(shares)),
        violations_low=low,
        violations_high=high,
        excess_ms=float(np.mean([run.excess_ms for run in runs])),
        worst_class_violations=max(classes.values()),
        classes=classes,
        lost=_percent(sum(run.lost for run in runs), sum(sum(run.requests.values()) for run in runs)),
        runs=len(runs),
    )


def _total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _interval(values: Sequence[float]) -> tuple[float, float]:
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:  # noqa: PLR2004 - one run has no spread
        return mean, mean
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean - half, mean + half
