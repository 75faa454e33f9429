"""One cell of the study: one policy under one load, over seeds and mixes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from heterosis.simulation import Simulator, interval
from heterosis.simulation.service import LogNormalTimes
from heterosis.studies.slo_mael.setting import MIXES, MODELS, NOISE, arrivals, make_plan
from heterosis.terms import Configuration, Plan


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


class WholeMilliseconds:
    """Run times of the profile with lognormal noise, ``bias`` times as long, in whole milliseconds."""

    def __init__(self, plan: Plan, bias: float) -> None:
        """Take the plan's operating points."""
        self._times = LogNormalTimes(plan, NOISE)
        self._bias = bias

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:
        """See `Service.draw`."""
        return round(self._times.draw(configuration, size, rng) * self._bias * 1e3) / 1e3


def repetitions(seeds: int) -> list[tuple[int, int]]:
    """Mix and seed of every run: seeds count from 1, and both mixes have the same."""
    return [(mix, seed) for mix in range(len(MIXES)) for seed in range(1, seeds + 1)]


def one_run(n: float, intensity: float, bias: float, policy: str, mix: int, seed: int) -> Run:
    """Simulate one seed of one mix."""
    plan = make_plan(policy, n, intensity, mix)
    simulator = Simulator(plan, seed=seed * len(MIXES) + mix, service=WholeMilliseconds(plan, bias))
    records = simulator.run(arrivals(n, intensity, mix, seed)).records
    late_ms = (records.latencies - records.limits) * 1e3
    answered = ~np.isnan(late_ms)
    numbers = records.classes
    return Run(
        requests={name: int((records.kinds == number).sum()) for name, number in numbers.items()},
        violations={name: int(records.violated[records.kinds == number].sum()) for name, number in numbers.items()},
        excess_ms=float(late_ms[answered].clip(min=0).mean()) if answered.any() else 0.0,
        lost=int((~answered).sum()),
    )


def cell(*, n: float, intensity: float, policy: str, bias: float = 1.0, seeds: int = 10) -> Row:
    """Run one cell here and now: every mix under so many seeds."""
    runs = [one_run(n, intensity, bias, policy, mix, seed) for mix, seed in repetitions(seeds)]
    return summary(n, intensity, bias, policy, runs)


def summary(n: float, intensity: float, bias: float, policy: str, runs: Sequence[Run]) -> Row:
    """Summarise the runs of one cell."""
    shares = [_percent(sum(run.violations.values()), sum(run.requests.values())) for run in runs]
    found = interval(shares)
    low, high = (found.mean if bound is None else bound for bound in (found.low, found.high))
    classes = {
        model: _percent(_total(run.violations for run in runs)[model], _total(run.requests for run in runs)[model])
        for model in MODELS
    }
    return Row(
        n=n,
        intensity=intensity,
        bias=bias,
        policy=policy,
        violations=found.mean,
        violations_low=max(low, 0.0),
        violations_high=min(high, 100.0),
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
