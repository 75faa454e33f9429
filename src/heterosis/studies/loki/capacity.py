"""Part one: what Loki's program says of itself, and what bounds it.

Hardware scaling ends at the largest load that the best variants carry on all servers. What accuracy is left at
multiples of it is Loki's second step. Both are the program's own figures; nothing is simulated.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import Final

from heterosis.planning.fleet import Objective
from heterosis.planning.fleet.planners.loki import loki
from heterosis.studies.loki.published import Published
from heterosis.studies.loki.rows import Row, planned
from heterosis.studies.loki.setting import BEST, SERVERS, make_task

MULTIPLES: Final = (1.0, 1.5, 2.0, 2.7)
"""Of the capacity with the best variants."""
FAR: Final = 6.0
"""Times the capacity: so far beyond it, detectors that miss cars are used, and judging by recall makes a difference."""
REFERENCE: Final = (207.0, 0.97, 0.94, 0.88)
"""Capacity (frames per second), and accuracy at the multiples, as found by another implementation of Loki's program, of
whose cars per frame nothing is known."""
REFERENCE_CARS: Final = 9.7
"""Cars per frame at which the program here has that capacity."""
CLOSE: Final = 1e-3


def capacity(published: Published, crowd: float = 1.0) -> float:
    """Return the largest load that the best variants carry, by Loki's program."""
    low, high = 0.0, bound_rps(published, crowd)
    while high - low > CLOSE * high:
        middle = (low + high) / 2
        if loki(make_task(published, middle, crowd=crowd, models=BEST)) is None:
            high = middle
        else:
            low = middle
    return low


def bound_rps(published: Published, crowd: float = 1.0) -> float:
    """Return what all servers carry with the best variants if no frame is ever late, and servers can be divided."""
    detector, classifier = (min(time.mean_ms / n / 1e3 for n, time in published.times[model].items()) for model in BEST)
    return SERVERS / (detector + crowd * published.cars[BEST[0]] * classifier)


def capacities(published: Published, whole: float) -> Iterator[Row]:
    """Loki at multiples of its capacity, with the published cars and with the reference's; and judged by recall."""
    sparse = REFERENCE_CARS / published.cars[BEST[0]]
    for crowd, of in ((1.0, whole), (sparse, capacity(published, sparse))):
        for multiple in (*MULTIPLES, FAR) if crowd == 1 else MULTIPLES:
            for recall in (False, True) if multiple == FAR else (False,):
                task = make_task(published, multiple * of, (Objective.DEVICES,), crowd=crowd, recall=recall)
                begin = perf_counter()
                found = loki(task)
                if found is not None:
                    name = "loki, judged by recall" if recall else "loki"
                    yield planned(published, name, task, found, perf_counter() - begin, crowd=crowd)
