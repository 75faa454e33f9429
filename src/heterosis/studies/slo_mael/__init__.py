"""SLO-MAEL's own setting (TACO'21): one board, three processors, six models, Poisson load below and beyond capacity.

Every policy has the same requests and the same draws of noise. The grid goes from a light load with deadlines that are
easily met to one far beyond capacity; and all of it again with real run times 15 % above the profile, which no policy
is told of.

Not reproduced. An earlier simulator of our own found more violations of MAEL and SLO-MAEL (as published) on the same
grid, 10 seeds of two mixes each: 2.3 and 1.6 % (here .7 and .2) at 5 x base and intensity 1.4; 13.3 and 14.2 (9.4 and
10.6) at 3 x base; 54.7 and 62.5 (25.6 and 25.9) at intensity 2; 65.5 and 61.1 (47.0 and 44.6) at 10 x base and 2.4;
16.7 and 12.7 (3.7 and 2.3) with run times 15 % above profile. Why is not known: how it drew arrivals and seeds is not
on record. Tried without closing the gap: exponential gaps instead of uniform moments, gaps cut to milliseconds, counts
rounded up, run times rounded up with and without a millisecond of overhead, loads that fall only in windows with
arrivals. A tenth more requests comes close, but nothing in the setting calls for them, and by one reading of it they do
not fit what that simulator found of late binding. So the baselines do better here than there: ratios to them are on
the safe side of that table, and must not be mixed with it.
"""

from collections.abc import Sequence
from pathlib import Path

from heterosis.scheduling.policies import make_policy
from heterosis.studies.parallel import starmap
from heterosis.studies.slo_mael.cell import Row, cell, one_run, summary
from heterosis.studies.slo_mael.setting import MIXES
from heterosis.studies.study import Options, Step

__all__ = ["GRID", "POLICIES", "Row", "cell", "draw", "run"]

LOADS = ((5, 1.4), (3, 1.4), (5, 2.0), (10, 2.4))
"""Deadlines as a multiple of the base time, and intensities."""
GRID = tuple((float(n), intensity, bias) for bias in (1.0, 1.15) for n, intensity in LOADS)
POLICIES = (
    "heterosis",
    "slo_mael:as-published",
    "slo_mael:summed",
    "slo_mael:greedy",
    "pslo_mael",
    "mael",
    "earliest_completion",
    "least_laxity",
    "fcfs",
)
"""The policies that are compared unless others are asked for."""


def run(options: Options, step: Step) -> list[Row]:
    """Run every policy in every cell of the grid, under every mix and seed."""
    policies = options.policies or POLICIES
    for policy in policies:
        make_policy(policy)  # an unknown name is said before anything runs
    cells = [(*load, policy) for load in GRID for policy in policies]
    repetitions = [(mix, seed) for mix in range(len(MIXES)) for seed in range(options.seeds)]
    runs = iter(starmap(one_run, [(*each, *other) for each in cells for other in repetitions], options.jobs, step))
    return [summary(*each, [next(runs) for _ in repetitions]) for each in cells]


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw violations in every cell, with intervals, and the spread over the models."""
    from heterosis.studies.slo_mael.drawing import draw_classes, draw_violations

    folder.mkdir(parents=True, exist_ok=True)
    return [
        draw_violations(rows, folder / "slo-mael.png"),
        draw_classes(rows, folder / "slo-mael-models.png"),
    ]
