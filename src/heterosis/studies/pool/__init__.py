"""KAIROS' other question (HPDC'23): which pool of machines to rent with a budget.

For each of its five models, the pools that several rules choose of the 331 that $2.5 an hour buy, and how much load
each is allowed when one and the same policy serves on it; against the best of all 331.
"""

from heterosis.studies.pool.comparison import Row, compare
from heterosis.studies.pool.figures import draw
from heterosis.studies.study import Options, Step

__all__ = ["Row", "draw", "run"]


def run(options: Options, step: Step) -> list[Row]:
    """Run the study."""
    return compare(options, step)
