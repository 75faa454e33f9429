"""One cell of the study: one policy under one load, in one setting of the configurations, over seeds."""

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import msgspec
import numpy as np

from heterosis.scheduling import Effect, Event, RequestArrived, RequestEnded, Scheduler
from heterosis.simulation import Simulator
from heterosis.simulation.service import LogNormalTimes
from heterosis.studies.synergai.setting import CHOSEN, JOBS, NOISE, STATIC, arrivals, make_plan
from heterosis.studies.synergai.workers import IDLE_W
from heterosis.terms import Plan, Request

TUNING_SEED = 1000
"""The best static setting is chosen on seeds from here on, and judged on others."""
AS_GOOD = 0.5
"""Static settings whose violations differ by no more percentage points are as good; energy decides between them."""


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
    idle_j: float
    """Idle power of the fleet over the run, from the first moment to the last answer."""
    decision_s: float
    """Wall time in the scheduler, all events together."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the study. Shares are in per cent, intervals are 95 % Student t intervals over the runs."""

    load: float
    """Share of the fleet's capacity."""
    policy: str
    configuration: str
    """``chosen`` or ``static``."""
    violations: float
    """Jobs late or never answered; the mean over the runs."""
    violations_low: float
    violations_high: float
    excess_ms: float
    """Time beyond the target, averaged over all answered jobs, 0 for those in time."""
    joules_per_request: float
    """Dynamic energy and the fleet's idle energy over the run, for each answered job; modelled, not measured."""
    dynamic_joules_per_request: float
    """The part of it that depends on where and how the jobs ran."""
    decision_us: float
    """Wall time in the scheduler for each job, all its events together, on the machine that ran the study."""
    worst_class_violations: float
    """Violations of the engine that has most, all runs taken together."""
    lost: float
    """Jobs that were refused or dropped: part of the violations."""
    static: str
    """The static setting that was best for this policy under this load; empty where the policy chooses."""
    runs: int


class _Watched(Scheduler):
    """A scheduler that notes its own time, and how late each request is answered."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.spent_s = 0.0
        self.arrived: dict[str, Request] = {}
        self.late_s: list[tuple[str, float]] = []

    def handle(self, event: Event, now: float) -> list[Effect]:
        begin = perf_counter()
        effects = super().handle(event, now)
        self.spent_s += perf_counter() - begin
        match event:
            case RequestArrived(request=request):
                self.arrived[request.id] = request
            case RequestEnded(request=name, outcome="answered"):
                request = self.arrived[name]
                self.late_s.append((request.request_class, now - request.deadline))
        return effects


def one_run(load: float, policy: str, configuration: str, seed: int, jobs: int = JOBS) -> Run:
    """Simulate one seed; ``configuration`` is `CHOSEN` or one of the `STATIC` settings."""
    plan = make_plan(policy, load, configuration)
    simulator = Simulator(plan, seed=seed, service=LogNormalTimes(plan, NOISE))
    simulator.scheduler = watched = _Watched(plan)
    outcome = simulator.run(arrivals(load, seed, jobs))
    arrived = Counter(request.request_class for request in watched.arrived.values())
    in_time = Counter(engine for engine, late_s in watched.late_s if late_s <= 0)
    assert outcome.dynamic_joules is not None  # noqa: S101 - every operating point has its energy
    return Run(
        jobs=dict(arrived),
        violations={engine: count - in_time[engine] for engine, count in arrived.items()},
        excess_s=sum(max(late_s, 0.0) for _, late_s in watched.late_s),
        answered=len(watched.late_s),
        dynamic_j=outcome.dynamic_joules,
        idle_j=outcome.duration_s * sum(IDLE_W.values()),
        decision_s=watched.spent_s,
    )


def cell(*, load: float, policy: str, configuration: str, seeds: int = 3, jobs: int = JOBS) -> Row:
    """Run one cell here and now; ``configuration`` is ``chosen`` or ``static``, the best of `STATIC`."""
    if configuration == CHOSEN:
        return summary(load, policy, "", [one_run(load, policy, CHOSEN, seed, jobs) for seed in range(seeds)])
    tried = {
        name: [one_run(load, policy, name, TUNING_SEED + seed, jobs) for seed in range(max(1, seeds // 2))]
        for name in STATIC
    }
    best = best_static(tried)
    return summary(load, policy, best, [one_run(load, policy, best, seed, jobs) for seed in range(seeds)])


def best_static(tried: dict[str, list[Run]]) -> str:
    """The static setting of least energy among those of fewest violations."""
    violations = {name: violations_of(runs) for name, runs in tried.items()}
    limit = min(violations.values()) + AS_GOOD
    return min((name for name in tried if violations[name] <= limit), key=lambda name: _joules(tried[name]))


def violations_of(runs: Sequence[Run]) -> float:
    """Share of the jobs of all runs that were late or never answered, in per cent."""
    return _percent(sum(sum(run.violations.values()) for run in runs), sum(sum(run.jobs.values()) for run in runs))


def summary(load: float, policy: str, static: str, runs: Sequence[Run]) -> Row:
    """Summarise the runs of one cell; ``static`` names the static setting, empty where the policy chooses."""
    shares = [violations_of([run]) for run in runs]
    low, high = _interval(shares)
    jobs, answered = sum(sum(run.jobs.values()) for run in runs), sum(run.answered for run in runs)
    engines = sorted({engine for run in runs for engine in run.jobs})
    return Row(
        load=load,
        policy=policy,
        configuration="static" if static else CHOSEN,
        violations=float(np.mean(shares)),
        violations_low=low,
        violations_high=high,
        excess_ms=1e3 * sum(run.excess_s for run in runs) / max(answered, 1),
        joules_per_request=_joules(runs),
        dynamic_joules_per_request=sum(run.dynamic_j for run in runs) / max(answered, 1),
        decision_us=1e6 * sum(run.decision_s for run in runs) / jobs,
        worst_class_violations=max(
            _percent(sum(run.violations.get(engine, 0) for run in runs), sum(run.jobs.get(engine, 0) for run in runs))
            for engine in engines
        ),
        lost=_percent(jobs - answered, jobs),
        static=static,
        runs=len(runs),
    )


def _joules(runs: Sequence[Run]) -> float:
    return sum(run.dynamic_j + run.idle_j for run in runs) / max(sum(run.answered for run in runs), 1)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _interval(values: Sequence[float]) -> tuple[float, float]:
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:  # noqa: PLR2004 - one run has no spread
        return mean, mean
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean - half, mean + half
