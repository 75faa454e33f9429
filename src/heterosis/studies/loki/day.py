"""Part three: a day, compressed, re-planned on smoothed demand.

The rate rises and falls as a sine, from two fifths of the mean to eight: more than what the best variants carry. Every
`EVERY_S` each planner sees the demand so far, smoothed over `HORIZON_S` (published: every second over 20 s, of a longer
day), and plans for it with some headroom, rounded up to a grid. Plans take no time here, and instances start at once.

- ``loki``: Loki's program, and Loki's policy.
- ``inferline``: its planner once, for the mean load of a day with other seeds, with a simulation as its estimator; then
  its tuner. The best variants always; first come, first served.
- ``heterosis``: the least energy with the best variants; where there is no such plan, the most accurate one, by the
  measure that counts recall.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from time import perf_counter
from typing import Final

from heterosis.arrivals import diurnal, poisson
from heterosis.planning.fleet import Allotment, Objective, Task, allot, to_plan
from heterosis.planning.fleet.planners import Tuner
from heterosis.planning.fleet.planners.inferline import inferline
from heterosis.planning.fleet.planners.loki import loki
from heterosis.studies.loki.load import TUNING_SEED, WANTED
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.rows import Row, simulated
from heterosis.studies.loki.setting import BEST, make_task
from heterosis.studies.loki.trial import Timeline, simulate
from heterosis.terms import Plan

DAY_S: Final = 90.0
MEAN_RPS: Final = 100.0
PEAK: Final = 1.6
"""Peak rate over the mean."""
EVERY_S: Final = 2.0
HORIZON_S: Final = 3.0
HEADROOM: Final = 1.2
"""Times the smoothed demand is planned for: a day so short rises by a tenth before a planner knows of it."""
GRID: Final = 1.08
"""Ratio of the rates that are planned for."""
TRIAL_S: Final = 5.0
"""Length of the runs that InferLine estimates by."""

Answered = tuple[Task, Allotment]


class Planned:
    """Plans by rate, each made once, and the time that it took."""

    def __init__(self, plan: Callable[[float], Answered]) -> None:
        """Plan by this function."""
        self._plan = plan
        self._known: dict[int, Answered] = {}
        self.took_s: list[float] = []

    def at(self, rate: float) -> Answered:
        """Plan for a rate, rounded up to the grid; the last that was possible where this one is not."""
        step = math.ceil(math.log(max(rate, 1.0)) / math.log(GRID))
        if step not in self._known:
            begin = perf_counter()
            self._known[step] = self._plan(GRID**step)
            self.took_s.append(perf_counter() - begin)
        return self._known[step]


def days(published: Published, seeds: Sequence[int]) -> Iterator[Row]:
    """A day of each planner."""
    planners = {
        "loki": Planned(lambda rate: _loki(published, rate)),
        "heterosis": Planned(lambda r: _ours(published, r)),
    }
    for name, planned in planners.items():
        runs = []
        for seed in seeds:
            times = _arrivals(seed)
            runs.append(simulate(published, times, _timeline(times, planned, name), seed))
        yield simulated(published, "day", name, MEAN_RPS, runs, fmean(planned.took_s))
    begin = perf_counter()
    task, found = planned_once(published)
    solve_s = perf_counter() - begin
    runs = []
    for seed in seeds:
        times = _arrivals(seed)
        runs.append(simulate(published, times, tuned(times, task, found), seed))
    yield simulated(published, "day", "inferline", MEAN_RPS, runs, solve_s)


def _arrivals(seed: int) -> list[float]:
    return diurnal(MEAN_RPS, DAY_S, seed, peak_ratio=PEAK, period_s=DAY_S)


def smoothed(times: Sequence[float]) -> list[tuple[float, float]]:
    """Moments at which a plan is made, and the demand per second that is known by then: first, that of the night."""
    level = MEAN_RPS * (2 - PEAK)
    found = [(0.0, level)]
    keep = math.exp(-EVERY_S / HORIZON_S)
    count = math.ceil(DAY_S / EVERY_S)
    arrived = [0] * count
    for at in times:
        arrived[int(at / EVERY_S)] += 1
    for number, arrivals in enumerate(arrived[:-1], 1):
        level = keep * level + (1 - keep) * arrivals / EVERY_S
        found.append((number * EVERY_S, level))
    return found


def _timeline(times: Sequence[float], planned: Planned, policy: str) -> Timeline:
    steps = ((at, *planned.at(HEADROOM * rate)) for at, rate in smoothed(times))
    return changes(steps, policy)


def changes(steps: Iterator[tuple[float, Task, Allotment]], policy: str) -> Timeline:
    """Leave out the moments at which nothing changes; devices that are on stay on where they can."""
    found: list[tuple[float, Allotment, Plan]] = []
    for at, task, allotment in steps:
        if found and found[-1][1] == allotment:
            continue
        on = {(each.node, each.device) for each in found[-1][2].placements} if found else set()
        found.append((at, allotment, to_plan(task, allotment, policy=policy, prefer=on)))
    return found


def _loki(published: Published, rate: float) -> Answered:
    task = make_task(published, rate)
    found = loki(task)
    assert found is not None  # noqa: S101 - far below what the weakest variants carry
    return task, found


def _ours(published: Published, rate: float) -> Answered:
    task = make_task(published, rate, (Objective.ENERGY,), models=BEST)
    answer = allot(task)
    if answer is None:
        task = make_task(published, rate, (Objective.ACCURACY, Objective.ENERGY), recall=True)
        answer = allot(task)
    assert answer is not None  # noqa: S101 - likewise
    return task, answer.allotment


def planned_once(published: Published) -> Answered:
    """InferLine's plan for the largest part of the mean load that it finds one for."""
    for part in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        rate = part * MEAN_RPS
        task = make_task(published, rate, models=BEST)

        def estimate(found: Allotment, task: Task = task, rate: float = rate) -> float:
            plan = to_plan(task, found, policy="fcfs")
            run = simulate(published, poisson(rate, TRIAL_S, TUNING_SEED), [(0.0, found, plan)], TUNING_SEED)
            return 1.0 if run.attainment >= WANTED else 2.0

        found = inferline(task, estimate)
        if found is not None:
            return task, found
    raise AssertionError("no plan for half of the mean load")


def tuned(times: Sequence[float], task: Task, found: Allotment) -> Timeline:
    """What InferLine's tuner makes of its plan through a day."""
    tuner = Tuner(task, found)

    def steps() -> Iterator[tuple[float, Task, Allotment]]:
        yield 0.0, task, found
        left = iter(times)
        following = next(left, None)
        for _, now in pairwise(at for at, _ in smoothed(times)):
            while following is not None and following < now:
                tuner.note(following)
                following = next(left, None)
            yield now, task, tuner.tune(now)

    return changes(steps(), "fcfs")
