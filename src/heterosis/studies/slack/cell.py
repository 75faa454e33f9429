"""One cell of the study: one policy on one fleet under one load, over seeds."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from heterosis.simulation import Power, Setting, Simulator, interval
from heterosis.simulation.service import LogNormalTimes
from heterosis.studies.slack.bound import lower_bound_j
from heterosis.studies.slack.plans import make_plan
from heterosis.studies.slack.published import CLAIM, SLEEP_AFTER_S
from heterosis.studies.slack.servers import MODES, Mode, Servers, fleet
from heterosis.studies.slack.setting import NOISE, REQUESTS, Load, arrivals

STATIC = "static"
"""What stands for a policy where the whole fleet stays in one mode: the best for the load, found on other seeds. Calls
are taken as by `governor:race`."""
FULL_SPEED = frozenset({"governor:performance", "governor:race"})
"""Policies that take no mode but full speed: a plan without the others gives the same runs, sooner."""
TUNING_SEED = 1000
MOST_TUNING_SEEDS = 3


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run."""

    requests: int
    violations: int
    """Late or never answered."""
    idle_j: float
    dynamic_j: float
    switching_j: float

    @property
    def joules(self) -> float:
        """All energy, each request's part."""
        return (self.idle_j + self.dynamic_j + self.switching_j) / self.requests


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the study. Intervals are 95 % Student t intervals, None after a single run; joules are modelled."""

    planner: str
    """The policy; `STATIC` for the best single mode."""
    pipeline: str
    fleet: str
    """Domains by slots, and the years of the servers."""
    load: str
    """Share of what the fleet can do at full speed, and how requests come."""
    attainment: float
    """Share of the requests in time, 0..1."""
    accuracy: float | None
    joules_per_request: float
    """Idle, dynamic and switching energy of the whole fleet."""
    lower_bound_joules: float
    """Of a request, for one who knows all run times (see `bound`)."""
    devices: int
    """Domains."""
    price_per_hour: float | None
    solve_s: float | None
    violations: float
    """Per cent late or never answered; the mean over the runs."""
    violations_low: float | None
    violations_high: float | None
    saving: float | None
    """Joules less than those of `governor:race` on the same requests, in per cent; None where that was not run."""
    saving_low: float | None
    saving_high: float | None
    dynamic_joules: float
    """Of a request, as the next two."""
    idle_joules: float
    switching_joules: float
    mode: str
    """The one mode of `STATIC`; empty for others."""
    runs: int


def one_run(
    policy: str, load: Load, servers: Servers, seed: int, mode: Mode | None = None, requests: int = REQUESTS
) -> Run:
    """Simulate one seed; with ``mode`` given, nothing else is planned."""
    modes = (mode,) if mode else MODES[:1] if policy in FULL_SPEED else MODES
    plan = make_plan(policy, load, servers, modes)
    setting = Setting(power=Power(fleet=fleet(servers), sleep_after_s=SLEEP_AFTER_S))
    outcome = Simulator(plan, seed=seed, service=LogNormalTimes(plan, NOISE), setting=setting).run(
        arrivals(load, servers, seed, requests)
    )
    joules = outcome.joules
    assert joules.idle.joules is not None  # noqa: S101 - every operating point and every mode has its figures
    assert joules.dynamic.joules is not None  # noqa: S101
    assert joules.switching.joules is not None  # noqa: S101
    return Run(
        requests=outcome.requests,
        violations=int(outcome.records.violated.sum()),
        idle_j=joules.idle.joules,
        dynamic_j=joules.dynamic.joules,
        switching_j=joules.switching.joules,
    )


def tuning_seeds(seeds: int) -> range:
    """The seeds that the best single mode is chosen on; others than those that it is judged on."""
    return range(TUNING_SEED, TUNING_SEED + min(seeds, MOST_TUNING_SEEDS))


def best_mode(tried: Mapping[Mode, Sequence[Run]]) -> Mode:
    """The mode of least energy among those with no more violations than claimed; the one of fewest where none is."""
    kept = [mode for mode, runs in tried.items() if violations_of(runs) <= CLAIM["violations"]]
    if kept:
        return min(kept, key=lambda mode: _mean(run.joules for run in tried[mode]))
    return min(tried, key=lambda mode: violations_of(tried[mode]))


def violations_of(runs: Sequence[Run]) -> float:
    """Share of the requests of all runs that were late or never answered, in per cent."""
    return 100 * sum(run.violations for run in runs) / sum(run.requests for run in runs)


def summary(
    policy: str, load: Load, servers: Servers, mode: Mode | None, runs: Sequence[Run], race: Sequence[Run] | None
) -> Row:
    """Summarise the runs of one cell; ``race`` are those of `governor:race` with the same seeds."""
    violations = interval([violations_of([run]) for run in runs])
    saving = race and interval([100 * (1 - run.joules / full.joules) for run, full in zip(runs, race, strict=True)])
    return Row(
        planner=policy,
        pipeline="chains",
        fleet=servers.name,
        load=load.name,
        attainment=1 - violations_of(runs) / 100,
        accuracy=None,
        joules_per_request=_mean(run.joules for run in runs),
        lower_bound_joules=lower_bound_j(load, servers),
        devices=servers.domains,
        price_per_hour=None,
        solve_s=None,
        violations=violations.mean,
        violations_low=violations.low,
        violations_high=violations.high,
        saving=saving.mean if saving else None,
        saving_low=saving.low if saving else None,
        saving_high=saving.high if saving else None,
        dynamic_joules=_mean(run.dynamic_j / run.requests for run in runs),
        idle_joules=_mean(run.idle_j / run.requests for run in runs),
        switching_joules=_mean(run.switching_j / run.requests for run in runs),
        mode=mode.name if mode else "",
        runs=len(runs),
    )


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
