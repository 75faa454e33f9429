"""One cell of the study: one policy under one load, in one setting of the configurations, over seeds."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import msgspec

from heterosis.scheduling import Effect, Event, RequestArrived, RequestEnded, Scheduler
from heterosis.simulation import Simulator
from heterosis.simulation.service import LogNormalTimes
from heterosis.studies.intervals import mean_interval
from heterosis.studies.synergai.setting import CHOSEN, JOBS, NOISE, STATIC, arrivals, make_plan
from heterosis.studies.synergai.workers import IDLE_W
from heterosis.terms import Plan, Request

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
    """Wall time in the scheduler for each job, all its events together; the median over the runs, on this machine."""
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
    best = ""
    if configuration != CHOSEN:
        best = best_static(
            {name: [one_run(load, policy, name, seed, jobs) for seed in tuning_seeds(seeds)] for name in STATIC}
        )
    return summary(load, policy, best, [one_run(load, policy, best or CHOSEN, seed, jobs) for seed in range(seeds)])


def tuning_seeds(seeds: int) -> range:
    """The seeds that the best static setting is chosen on; others than those that it is judged on."""
    return range(TUNING_SEED, TUNING_SEED + min(seeds, MOST_TUNING_SEEDS))


def best_static(tried: dict[str, list[Run]]) -> str:
    """The static setting of fewest violations; of several, the one of least energy."""
    return min(tried, key=lambda name: (violations_of(tried[name]), _joules(tried[name])))


def violations_of(runs: Sequence[Run]) -> float:
    """Share of the jobs of all runs that were late or never answered, in per cent."""
    return _percent(sum(sum(run.violations.values()) for run in runs), sum(sum(run.jobs.values()) for run in runs))


def summary(load: float, policy: str, static: str, runs: Sequence[Run]) -> Row:
    """Summarise the runs of one cell; ``static`` names the static setting, empty where the policy chooses."""
    shares = [violations_of([run]) for run in runs]
    mean, low, high = mean_interval(shares)
    jobs, answered = sum(sum(run.jobs.values()) for run in runs), sum(run.answered for run in runs)
    engines = sorted({engine for run in runs for engine in run.jobs})
    return Row(
        load=load,
        policy=policy,
        configuration="static" if static else CHOSEN,
        violations=mean,
        violations_low=low,
        violations_high=high,
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
    return sum(run.dynamic_j + run.idle_j for run in runs) / max(sum(run.answered for run in runs), 1)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
