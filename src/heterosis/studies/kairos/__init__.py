"""KAIROS' own setting (HPDC'23): how many queries per second a pool of unlike machines serves within a p99.

For each of five models, on the pool that KAIROS ranks first at $2.5 an hour, the largest load at which at most one per
cent of the queries is violated; all policies have the same machines, the same queries and the same run times.
"""

from heterosis.studies.kairos.comparison import AtKairosLoad, Row, compare
from heterosis.studies.kairos.figures import draw
from heterosis.studies.kairos.load import Figures, at_load
from heterosis.studies.study import Options, Step

__all__ = ["AtKairosLoad", "Figures", "Row", "at_load", "draw", "run"]


def run(options: Options, step: Step) -> list[Row]:
    """Run the study."""
    return compare(options, step)
