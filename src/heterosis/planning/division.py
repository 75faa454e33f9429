"""How classes of requests divide among machine types: the rows that linear programs about it share.

Columns are the rates at which each type is given each class, type after type, then the rates at which each class is
given to none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Division(NamedTuple):
    """Rows of a linear program; sums over the columns."""

    served: Matrix
    """For each class, the rate at which its requests are given to a type or to none."""
    busy: Matrix
    """For each type, how many machines that keeps busy."""
    late: Matrix
    """One row: the rate of requests that are not in time."""
    upper: list[float | None]
    """Of each column: 0 where a type has no chance to serve a class in time."""


def division(run_s: Matrix, chances: Matrix) -> Division:
    """Return the rows for mean run times (types x classes, seconds) and the chances that runs end in time (0..1)."""
    types, classes = run_s.shape
    busy = np.zeros((types, types * classes + classes))
    for number in range(types):
        busy[number, number * classes : (number + 1) * classes] = run_s[number]
    return Division(
        served=np.hstack([np.eye(classes)] * (types + 1)),
        busy=busy,
        late=np.concatenate([1 - chances.ravel(), np.ones(classes)])[None, :],
        upper=[None if chance > 0 else 0.0 for chance in chances.ravel()] + [None] * classes,
    )


def chances_of(run_s: Matrix, limit_s: float, chances: Sequence[Sequence[float]] | None) -> Matrix:
    """Return the chances given, or what mean run times say by themselves: always within the limit, or never."""
    return (run_s <= limit_s).astype(float) if chances is None else np.array(chances, dtype=float)
