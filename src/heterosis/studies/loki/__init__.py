"""Loki's setting (HPDC'24): a traffic pipeline on twenty GPUs, from a tenth of what they carry to far more.

Three parts: Loki's program against its own claims (`capacity`); the load carried at the same accuracy and the joules of
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
from heterosis.studies.study import Options, Step

__all__ = ["Row", "bound_rps", "capacity", "draw", "run"]


def run(options: Options, step: Step) -> list[Row]:
    """Run the study: one process, whatever ``jobs`` says, as the parts share plans."""
    published = read(options.data)
    seeds = range(options.seeds)
    rows: list[Row] = []
    step("Loki's capacity", done=0)
    whole = capacity(published)
    made = answers(published, whole)
    parts = {
        "Loki's program by its own figures": capacities(published, whole),
        "loads at the same accuracy": loads(published, made, seeds),
        "the largest that each carries": carried(published, made, seeds),
        "joules of small loads": off_peak(published, whole, seeds),
        "a day": days(published, seeds),
    }
    for number, (text, part) in enumerate(parts.items()):
        step(text, done=number, total=len(parts))
        rows += part
    step(done=len(parts), total=len(parts))
    return rows


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw accuracy by load, and attainment, accuracy and joules of the day."""
    folder.mkdir(parents=True, exist_ok=True)
    return [draw_rows(rows, folder / "loki.png")]
