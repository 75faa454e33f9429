"""What the largest queries lose to whoever decides on each of them as it comes, and knows rates but no future.

Let the one base machine serve none but the largest tenth, and the other machines always be idle for these. A query that
comes joins the base machine's queue, or takes its chance on another machine at once, whichever costs fewer of them: its
own miss, and those of later ones that will find more work ahead. The fewest that are lost in the long run are those of
a Markov decision process, whose state is the work ahead; Howard's policy iteration finds them (Puterman, "Markov
Decision Processes", 1994, chapter 8). This is a yardstick rather than a bound: who gives up what waits, once a shorter
query has come, saves a little more.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heterosis.studies.kairos.latencies import Runs, runs_of
from heterosis.studies.kairos.setting import MODELS, SIZES, TYPES, shares

STEPS = 400
"""Amounts of work that are told apart, up to the latency objective."""
DECILE = 0.1
DRAWS = 200
"""Quantiles that stand for the run times of a size, where none were measured."""

Times = NDArray[np.float64]


class Kind(NamedTuple):
    """Queries of a size."""

    per_s: float
    run_s: Times
    """Run times on the base machine, each as likely as the others."""
    elsewhere: float
    """Chance to be in time on another machine, begun at once."""


def lost_without_foresight(model: str, qps: float, *, data: Path | None = None) -> float | None:
    """Share (0..1) of the largest tenth of the queries that is lost; None for a pool of several base machines."""
    setting, runs = MODELS[model], runs_of(model, data)
    if setting.pool[0] != 1:
        return None
    limit_s = setting.latency_ms / 1e3
    base, *others = (runs[of] for of, count in zip(TYPES, setting.pool, strict=True) if count)
    first = int(np.searchsorted(np.cumsum(shares()), 1 - DECILE))
    kinds = [
        Kind(
            qps * share,
            _times(base, size),
            max((float((_times(other, size) <= limit_s).mean()) for other in others), default=0.0),
        )
        for size, share in list(zip(SIZES, shares(), strict=True))[first:]
    ]
    return fewest_lost(kinds, limit_s) / sum(kind.per_s for kind in kinds)


def fewest_lost(kinds: Sequence[Kind], limit_s: float) -> float:
    """Queries lost per second at the least, each of which has to end so long after it came."""
    step_s = limit_s / STEPS
    jumps = [np.bincount(np.maximum(np.rint(kind.run_s / step_s), 1).astype(int)) / len(kind.run_s) for kind in kinds]
    count = STEPS + 1 + max(map(len, jumps))
    ahead_s = np.arange(count) * step_s
    lost = [np.mean(kind.run_s > limit_s - ahead_s[:, None], axis=1) for kind in kinds]
    values, before, per_s = np.zeros(count), np.zeros(0), 0.0
    while True:
        joins = np.array(
            [
                (late < 1) & (late + _then(values, jump) - values < 1 - kind.elsewhere)
                for kind, jump, late in zip(kinds, jumps, lost, strict=True)
            ]
        )
        if np.array_equal(joins, before):
            return per_s
        values, per_s = _evaluate(kinds, jumps, lost, joins, step_s)
        before = joins


def _then(values: Times, jump: Times) -> Times:
    """The mean value after a query has joined, by the work ahead when it came."""
    padded = np.concatenate([values, np.full(len(jump) - 1, values[-1])])
    return np.correlate(padded, jump, "valid")


def _evaluate(
    kinds: Sequence[Kind], jumps: Sequence[Times], lost: Sequence[Times], joins: NDArray[np.bool_], step_s: float
) -> tuple[Times, float]:
    """What work ahead costs if these join, against none; and the queries lost per second."""
    count = len(lost[0])
    # Within a step, work shrinks by one: value - value below + lost in a step = lost here, and what joining adds.
    matrix = np.eye(count) - np.eye(count, k=-1)
    matrix[0, 0] = 0.0
    here = np.zeros(count)
    for kind, jump, late, joining in zip(kinds, jumps, lost, joins, strict=True):
        come = kind.per_s * step_s
        here += come * np.where(joining, late, 1 - kind.elsewhere)
        (rows,) = np.nonzero(joining)
        matrix[rows, rows] += come
        for jump_to in np.nonzero(jump)[0]:
            matrix[rows, rows + jump_to] -= come * jump[jump_to]
    matrix[:, 0] = 1.0  # the value of no work is 0, so its column is that of what is lost
    found = np.linalg.solve(matrix, here).astype(np.float64)
    per_s = float(found[0]) / step_s
    found[0] = 0.0
    return found, per_s


def _times(runs: Runs, size: int) -> Times:
    if runs.samples:
        return np.array(runs.samples[size])
    sigma = np.sqrt(np.log1p(runs.cv**2))
    normal = NormalDist()
    drawn = np.array([normal.inv_cdf((number + 0.5) / DRAWS) for number in range(DRAWS)])
    times: Times = runs.latencies[size].mean_ms / 1e3 * np.exp(sigma * drawn - sigma**2 / 2)
    return times
