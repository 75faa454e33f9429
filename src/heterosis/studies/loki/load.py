"""Part two: how much load is carried at the same accuracy, and the joules of small loads.

*Load.* All servers, and the same accuracy: that of the best models, and that of Loki's second step at 1.5 times its
capacity. Each planner plans for the largest load that it thinks possible; then the same loads, shares of what Loki
claims, are offered to both, and the largest is searched that each carries (`carried`). Loki's plans are run by Loki's
policy, ours by ours.

*Off-peak.* Loki takes the fewest servers, for the load itself and for the least multiple of it whose plan holds; ours
the plan of least energy that holds when it is tried.
"""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Final

import msgspec

from heterosis.arrivals import poisson, rescaled
from heterosis.planning.fleet import Allotment, Objective, Task, accuracy, allot, to_plan, verified
from heterosis.planning.fleet.planners.loki import loki
from heterosis.planning.snapshot import Verdict
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.rows import Row, simulated
from heterosis.studies.loki.setting import BEST, make_task
from heterosis.studies.loki.trial import Run, simulate

WANTED: Final = 0.99
"""Share of the frames that must be in time."""
FRAMES: Final = 1500
"""Of one run, about."""
BEYOND: Final = 1.5
"""Times Loki's capacity, for the second accuracy that loads are compared at."""
OFF_PEAK: Final = (0.2, 0.4)
"""Times Loki's capacity."""
LEAST: Final = 0.75
MOST: Final = 1.15
"""Times what Loki claims: the range in which our own largest plan is searched."""
OFFERED: Final = (0.87, 0.92, 0.97)
"""Times what Loki claims: what is offered."""
TUNING_SEED: Final = 1000


def offered(
    published: Published, task: Task, found: Allotment, policy: str, load: float, seed: int, frames: int = FRAMES
) -> Run:
    """Run an answer under exactly this load on average, whatever it was planned for."""
    plan = to_plan(task, found, policy=policy)
    return simulate(published, rescaled(poisson(load, frames / load, seed), load), [(0.0, found, plan)], seed)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A planner's plan for all servers."""

    planner: str
    claimed: float
    """Frames per second that Loki's plan of this accuracy promises."""
    task: Task
    found: Allotment
    solve_s: float


def answers(published: Published, whole: float) -> list[Answer]:
    """Loki's plans for multiples of its capacity, and ours of the same accuracy for the largest load."""
    made = []
    for multiple in (1.0, BEYOND):
        load = multiple * whole
        task = make_task(published, load, models=BEST if multiple == 1 else None)
        begin = perf_counter()
        found = loki(task)
        assert found is not None  # noqa: S101 - a load that Loki's program carries
        made.append(Answer(planner="loki", claimed=load, task=task, found=found, solve_s=perf_counter() - begin))
        models = {host.option.variant.model for host in found.hosted()} | set(BEST)
        floor = (accuracy(task.workloads[0], found) or 0.0) - 1e-4
        begin = perf_counter()
        task, found = _largest(published, load, sorted(models), floor)
        made.append(Answer(planner="heterosis", claimed=load, task=task, found=found, solve_s=perf_counter() - begin))
    return made


def loads(published: Published, made: Sequence[Answer], seeds: Sequence[int]) -> Iterator[Row]:
    """Both plans under loads around those that Loki claims."""
    for each in made:
        for share in OFFERED:
            load = share * each.claimed
            runs = [offered(published, each.task, each.found, each.planner, load, seed) for seed in seeds]
            yield simulated(published, "load", each.planner, load, runs, each.solve_s)


def _largest(published: Published, load: float, models: Sequence[str], floor: float) -> tuple[Task, Allotment]:
    """Our plan for the largest load of this accuracy that it can be had for, to a hundredth."""

    def at(share: float) -> tuple[Task, Allotment | None]:
        task = make_task(published, share * load, (Objective.ENERGY,), models=models, min_accuracy=floor)
        answer = allot(task)
        return task, None if answer is None else answer.allotment

    low, high = LEAST, MOST
    best = at(low)
    while high - low > 0.02:  # noqa: PLR2004
        middle = (low + high) / 2
        tried = at(middle)
        if tried[1] is None:
            high = middle
        else:
            low, best = middle, tried
    task, found = best
    assert found is not None  # noqa: S101 - the least share can be had
    return task, found


def off_peak(published: Published, whole: float, seeds: Sequence[int]) -> Iterator[Row]:
    """Joules of small loads, parts of Loki's capacity, with the best variants."""
    for share in OFF_PEAK:
        load = share * whole
        task = make_task(published, load, (Objective.ENERGY,), models=BEST)
        begin = perf_counter()
        fewest = loki(task)
        solve_s = perf_counter() - begin
        assert fewest is not None  # noqa: S101 - a part of its capacity
        for name, found in (("loki", fewest), ("loki with headroom", _roomy(published, load))):
            runs = [offered(published, task, found, "loki", load, seed) for seed in seeds]
            yield simulated(published, "off-peak", name, load, runs, solve_s)
        begin = perf_counter()
        least = verified(task, _verify(published, task))
        solve_s = perf_counter() - begin
        if least is not None:
            runs = [offered(published, task, least.allotment, "heterosis", load, seed) for seed in seeds]
            yield simulated(published, "off-peak", "heterosis", load, runs, solve_s)


def _roomy(published: Published, load: float) -> Allotment:
    """Loki's plan for the least multiple of a load, in tenths, under which the load itself holds."""
    tenths = 10
    while True:
        task = make_task(published, tenths / 10 * load, models=BEST)
        found = loki(task)
        assert found is not None  # noqa: S101 - a part of its capacity, and some more
        if offered(published, task, found, "loki", load, TUNING_SEED).attainment >= WANTED:
            return found
        tenths += 1


def _verify(published: Published, task: Task) -> Callable[[Allotment], Verdict]:
    def verify(found: Allotment) -> Verdict:
        run = offered(published, task, found, "heterosis", task.workloads[0].rate_rps, TUNING_SEED)
        return Verdict(latency_ms=run.p99_ms, attainment=run.attainment)

    return verify
