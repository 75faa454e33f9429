"""One cell of the study: one policy under one load, with one way to use the VM and to configure, over seeds."""

from collections.abc import Sequence
from statistics import median

import msgspec
import numpy as np

from heterosis.simulation import Power, Setting, Simulator, interval
from heterosis.simulation.service import LogNormalTimes
from heterosis.studies.synergai.plans import CHOSEN, STATIC, make_plan
from heterosis.studies.synergai.setting import JOBS, NOISE, WHOLE, arrivals
from heterosis.studies.synergai.workers import fleet

TUNING_SEED = 1000
MOST_TUNING_SEEDS = 5


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run."""

    jobs: dict[str, int]
    """That arrived, by engine."""
    violations: dict[str, int]
    """Late or never answered."""
    excess_s: float
    """Seconds beyond the targets, over all jobs that were answered."""
    answered: int
    dynamic_j: float
    total_j: float
    """With the idle power of the fleet, from the first moment to the last answer."""
    decision_s: float
    """Wall time in the scheduler, all events together."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the study. Shares are in per cent, intervals are 95 % Student t intervals over the runs."""

    vm: str
    """``whole`` or ``shared``."""
    load: float
    """Jobs a second, as a multiple of what the fleet can do with a whole VM."""
    policy: str
    configuration: str
    """``chosen`` or ``static``."""
    violations: float
    """Jobs late or never answered; the mean over the runs."""
    violations_low: float | None
    violations_high: float | None
    """None after a single run."""
    excess_ms: float
    """Time beyond the target, averaged over all answered jobs, 0 for those in time."""
    joules_per_request: float
    """Dynamic energy and the fleet's idle energy over the run, for each answered job; modelled, not measured."""
    dynamic_joules_per_request: float
    """The part of it that depends on where and how the jobs ran."""
    decision_us: float
    """Wall time in the scheduler for each job, all its events together; the median over the runs, on this machine."""
    worst_class_violations: float
    """Violations of the engine that has most, all runs taken together."""
    lost: float
    """Jobs that were refused or dropped: part of the violations."""
    static: str
    """The static setting that was best for this policy under this load; empty where the policy chooses."""
    runs: int


def one_run(vm: str, load: float, policy: str, configuration: str, seed: int, jobs: int = JOBS) -> Run:
    """Simulate one seed; ``configuration`` is `CHOSEN` or one of the `STATIC` settings."""
    plan = make_plan(vm, policy, load, configuration)
    setting = Setting(power=Power(fleet=fleet()), timed=True)
    simulator = Simulator(plan, seed=seed, service=LogNormalTimes(plan, NOISE), setting=setting)
    outcome = simulator.run(arrivals(load, seed, jobs))
    records, total = outcome.records, outcome.joules.total.joules
    assert total is not None  # noqa: S101 - every operating point and every mode has its figures
    assert outcome.dynamic_joules is not None  # noqa: S101
    late_s = records.latencies - records.limits
    return Run(
        jobs={engine: int((records.kinds == number).sum()) for engine, number in records.classes.items()},
        violations={
            engine: int(records.violated[records.kinds == number].sum()) for engine, number in records.classes.items()
        },
        excess_s=float(np.nansum(np.maximum(late_s, 0.0))),
        answered=int((~np.isnan(late_s)).sum()),
        dynamic_j=outcome.dynamic_joules,
        total_j=total,
        decision_s=sum(outcome.decision_s),
    )


def cell(*, load: float, policy: str, configuration: str, vm: str = WHOLE, seeds: int = 3, jobs: int = JOBS) -> Row:
    """Run one cell here and now; ``configuration`` is ``chosen`` or ``static``, the best of `STATIC`."""
    best = ""
    if configuration != CHOSEN:
        best = best_static(
            {name: [one_run(vm, load, policy, name, seed, jobs) for seed in tuning_seeds(seeds)] for name in STATIC}
        )
    return summary(
        vm, load, policy, best, [one_run(vm, load, policy, best or CHOSEN, seed, jobs) for seed in range(seeds)]
    )


def tuning_seeds(seeds: int) -> range:
    """The seeds that the best static setting is chosen on; others than those that it is judged on."""
    return range(TUNING_SEED, TUNING_SEED + min(seeds, MOST_TUNING_SEEDS))


def best_static(tried: dict[str, list[Run]]) -> str:
    """The static setting of fewest violations; of several, the one of least energy."""
    return min(tried, key=lambda name: (violations_of(tried[name]), _joules(tried[name])))


def violations_of(runs: Sequence[Run]) -> float:
    """Share of the jobs of all runs that were late or never answered, in per cent."""
    return _percent(sum(sum(run.violations.values()) for run in runs), sum(sum(run.jobs.values()) for run in runs))


def summary(vm: str, load: float, policy: str, static: str, runs: Sequence[Run]) -> Row:
    """Summarise the runs of one cell; ``static`` names the static setting, empty where the policy chooses."""
    shares = [violations_of([run]) for run in runs]
    violations = interval(shares)
    jobs, answered = sum(sum(run.jobs.values()) for run in runs), sum(run.answered for run in runs)
    engines = sorted({engine for run in runs for engine in run.jobs})
    return Row(
        vm=vm,
        load=load,
        policy=policy,
        configuration="static" if static else CHOSEN,
        violations=violations.mean,
        violations_low=violations.low,
        violations_high=violations.high,
        excess_ms=1e3 * sum(run.excess_s for run in runs) / max(answered, 1),
        joules_per_request=_joules(runs),
        dynamic_joules_per_request=sum(run.dynamic_j for run in runs) / max(answered, 1),
        decision_us=1e6 * median(run.decision_s / sum(run.jobs.values()) for run in runs),
        worst_class_violations=max(
            _percent(sum(run.violations.get(engine, 0) for run in runs), sum(run.jobs.get(engine, 0) for run in runs))
            for engine in engines
        ),
        lost=_percent(jobs - answered, jobs),
        static=static,
        runs=len(runs),
    )


def _joules(runs: Sequence[Run]) -> float:
    return sum(run.total_j for run in runs) / max(sum(run.answered for run in runs), 1)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
