"""The largest load of which a plan has 99 % in time, Loki's and ours side by side.

Near the brink that hangs on single bursts. So runs are longer than elsewhere, each seed has bursts of its own, which
both planners meet, and what is told is the mean over the seeds of one's load over the other's. Attainment need not fall
with every step of the load: found is a load that holds, where one a little larger does not.
"""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final

import msgspec

from heterosis.simulation import interval
from heterosis.studies.loki.load import WANTED, Answer, offered
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.rows import Row, simulated
from heterosis.studies.loki.trial import Run

FRAMES: Final = 3000
"""Of one run: thirty of them may be late."""
LEAST: Final = 0.7
MOST: Final = 1.2
"""Times what Loki claims: the range that is searched."""
CLOSE: Final = 0.005


def carried(published: Published, made: Sequence[Answer], seeds: Sequence[int]) -> Iterator[Row]:
    """The loads of all answers, each of ours after Loki's of the same accuracy, and their ratio."""
    lokis: list[float] = []
    for each in made:
        loads = [largest(published, each, seed) for seed in seeds]
        runs = [_run(published, each, load, seed) for load, seed in zip(loads, seeds, strict=True)]
        lokis = loads if each.planner == "loki" else lokis
        between = interval(loads)
        over = interval([ours / theirs for ours, theirs in zip(loads, lokis, strict=True)])
        row = simulated(published, "carried", each.planner, fmean(loads), runs, each.solve_s)
        yield msgspec.structs.replace(
            row,
            load_low=between.low,
            load_high=between.high,
            over_loki=over.mean,
            over_loki_low=over.low,
            over_loki_high=over.high,
        )


def largest(published: Published, answer: Answer, seed: int) -> float:
    """Return the largest load that a plan carries in one run."""
    low, high = LEAST, MOST
    while high - low > CLOSE:
        middle = (low + high) / 2
        if _run(published, answer, middle * answer.claimed, seed).attainment >= WANTED:
            low = middle
        else:
            high = middle
    return low * answer.claimed


def _run(published: Published, answer: Answer, load: float, seed: int) -> Run:
    return offered(published, answer.task, answer.found, answer.planner, load, seed, FRAMES)
