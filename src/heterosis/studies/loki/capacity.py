"""Part one: what Loki's program says of itself, and what bounds it.

Hardware scaling ends at the largest load that the best variants carry on all servers. What accuracy is left at
multiples of it is Loki's second step. Both are the program's own figures; nothing is simulated.
"""

from collections.abc import Iterator
from statistics import fmean
from time import perf_counter
from typing import Final

from heterosis.planning.fleet import Objective
from heterosis.planning.fleet.planners.loki import PART, loki
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.rows import Row, planned
from heterosis.studies.loki.setting import BEST, SERVERS, make_task

MULTIPLES: Final = (1.0, 1.5, 2.0, 2.7)
"""Of the capacity with the best variants."""
FAR: Final = 6.0
"""Times the capacity: so far beyond it, detectors that miss cars are used, and judging by recall makes a difference."""
REFERENCE: Final = (207.0, 0.97, 0.94, 0.88)
"""Capacity (frames per second), and accuracy at the multiples, as found by another implementation of Loki's program. It
does not say how it read two things; read as below, it is reproduced."""
REFERENCE_PART: Final = 1.0
"""Of the SLO, what the batches of a path take: all of it, not the half that Loki leaves for queues."""
CLOSE: Final = 1e-3


def reference_cars(published: Published) -> float:
    """Return what the reference classifies in every frame, whichever detector looks: their mean of objects."""
    return fmean(published.objects.values())


def capacity(published: Published, cars: float | None = None, part: float = PART) -> float:
    """Return the largest load that the best variants carry, by Loki's program."""
    low, high = 0.0, bound_rps(published, cars)
    while high - low > CLOSE * high:
        middle = (low + high) / 2
        if loki(make_task(published, middle, cars=cars, models=BEST), part) is None:
            high = middle
        else:
            low = middle
    return low


def bound_rps(published: Published, cars: float | None = None) -> float:
    """Return what all servers carry with the best variants if no frame is ever late, and servers can be divided."""
    detector, classifier = (min(time.mean_ms / n / 1e3 for n, time in published.times[model].items()) for model in BEST)
    return SERVERS / (detector + (cars or published.cars[BEST[0]]) * classifier)


def capacities(published: Published, whole: float) -> Iterator[Row]:
    """Loki at multiples of its capacity, as published and as the reference reads it; and judged by recall."""
    cars = reference_cars(published)
    for multiple in MULTIPLES:
        yield from _planned(published, multiple * whole)
    for recall in (False, True):
        yield from _planned(published, FAR * whole, recall=recall)
    other = capacity(published, cars, REFERENCE_PART)
    for multiple in MULTIPLES:
        yield from _planned(published, multiple * other, cars=cars, part=REFERENCE_PART)


def _planned(
    published: Published, load: float, *, cars: float | None = None, part: float = PART, recall: bool = False
) -> Iterator[Row]:
    task = make_task(published, load, (Objective.DEVICES,), cars=cars, recall=recall)
    begin = perf_counter()
    found = loki(task, part)
    if found is not None:
        name = "loki, judged by recall" if recall else "loki"
        yield planned(published, name, task, found, perf_counter() - begin, cars=cars)
