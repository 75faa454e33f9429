"""Loki's setting (HPDC'24): a traffic pipeline on twenty GPUs, from a tenth of what they carry to far more.

Parts: Loki's program against its own claims (`capacity`); the load carried at the same accuracy and the joules of
small loads, Loki's and ours (`load`); and a day, with InferLine beside them (`day`). It needs the published profile
(``--data``).
"""

from collections.abc import Sequence
from pathlib import Path

from heterosis.studies.loki.capacity import bound_rps, capacities, capacity
from heterosis.studies.loki.carried import carried
from heterosis.studies.loki.day import days
from heterosis.studies.loki.drawing import draw_rows
from heterosis.studies.loki.load import answers, loads, off_peak
from heterosis.studies.loki.published import read
from heterosis.studies.loki.rows import Row
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, Step

__all__ = ["Row", "bound_rps", "capacity", "draw", "run"]


PARTS = ("day", "carried", "load", "off-peak", "planned")
"""The longest first."""


def run(options: Options, step: Step) -> list[Row]:
    """Run the parts of the study; rows by part."""
    published = read(options.data)
    step("Loki's capacity", done=0)
    whole = capacity(published)
    step("all parts")
    found = starmap(rows_of, [(part, options.data, whole, options.seeds) for part in PARTS], options, step)
    return [row for rows in reversed(found) for row in rows]


def rows_of(part: str, data: Path | None, whole: float, seeds: int) -> list[Row]:
    """Run one part; ``whole`` is Loki's capacity. Plans are deterministic: parts that use the same make them anew."""
    published = read(data)
    match part:
        case "planned":
            rows = capacities(published, whole)
        case "load":
            rows = loads(published, answers(published, whole), range(seeds))
        case "carried":
            rows = carried(published, answers(published, whole), range(seeds))
        case "off-peak":
            rows = off_peak(published, whole, range(seeds))
        case _:
            rows = days(published, range(seeds))
    return list(rows)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw accuracy by load, and attainment, accuracy and joules of the day."""
    folder.mkdir(parents=True, exist_ok=True)
    return [draw_rows(rows, folder / "loki.png")]
