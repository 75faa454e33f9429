"""Joint assignment: every combination of processors for a handful of requests, each predicted to its end.

What `mael`, `slo_mael` and `pslo_mael` share (SLO-MAEL, ACM TACO 2021, and its public code).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from heterosis.scheduling.policies.early_binding import Processor

Numbers = npt.NDArray[np.float64]
ROUNDING_MS = 1e-6
"""Seconds turned into milliseconds miss whole numbers by less."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request to assign."""

    deadline_ms: float
    """Time that it has, in all."""
    processors: tuple[Processor, ...]
    """Where it could run."""
    run_ms: tuple[float, ...]
    """How long it runs there."""


Score = Callable[[Numbers], Numbers]
"""Gives each combination its score, of the checks of its requests (a row for each request); the largest wins."""


def search(
    candidates: Sequence[Candidate], load_ms: Mapping[Processor, float], score: Score | None
) -> tuple[list[int], dict[Processor, float]]:
    """Find the best combination: for each request the position of its processor, and the new loads.

    ``load_ms`` is the time until each processor is free, as far as the policy knows. A request's end is the load of its
    processor after it has been added, cut to whole milliseconds. Without ``score`` the least sum of ends wins; with it
    the largest score, ties by the sum of ends. The last of equals wins, processors in the order in which they stand.
    """
    known = list(dict.fromkeys([*load_ms, *(each for one in candidates for each in one.processors)]))
    numbers = {processor: number for number, processor in enumerate(known)}
    choices = combinations(tuple(len(one.processors) for one in candidates))
    rows = np.arange(choices.shape[1])
    loads = np.tile(np.array([load_ms.get(each, 0.0) for each in known]), (choices.shape[1], 1))
    ends = np.empty(choices.shape)
    for number, (one, chosen) in enumerate(zip(candidates, choices, strict=True)):
        on = np.array([numbers[each] for each in one.processors])[chosen]
        ends[number] = loads[rows, on] = np.floor(loads[rows, on] + np.array(one.run_ms)[chosen] + ROUNDING_MS)
    totals = ends.sum(axis=0)
    if score is None:
        best = len(totals) - 1 - int(totals[::-1].argmin())
    else:
        limits = np.array([[one.deadline_ms] for one in candidates])
        later = -np.arange(len(totals))
        best = int(np.lexsort((later, totals, -score(check(limits, ends))))[0])
    return choices[:, best].tolist(), dict(zip(known, loads[best].tolist(), strict=True))


def check(deadline_ms: Numbers, end_ms: Numbers) -> Numbers:
    """1 where the deadline leaves half of the predicted time to spare; else minus that time in % of the deadline, x1.5.

    The published check: ``1 if D >= 1.5 t else -int(150 t / D)``.
    """
    values: Numbers = np.where(
        deadline_ms >= 1.5 * end_ms, 1.0, -np.floor(150 * end_ms / np.maximum(deadline_ms, ROUNDING_MS))
    )
    return values


@lru_cache(maxsize=256)
def combinations(counts: tuple[int, ...]) -> npt.NDArray[Any]:
    """All ways to choose one of so many for each: a row for each request, a column for each combination, in order."""
    return np.indices(counts).reshape(len(counts), -1)


def chunk_size(choices: int, largest: int, limit: int = 3**6) -> int:
    """How many requests are assigned together where each has so many choices, within a limit of combinations."""
    size = 1
    while size < largest and choices ** (size + 1) <= limit:
        size += 1
    return size
