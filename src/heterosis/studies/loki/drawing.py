"""The figure of the study."""

from collections.abc import Sequence
from pathlib import Path

from heterosis.studies.loki.rows import Row

COLOURS = {"heterosis": "#2a7f62", "loki": "#4a90c2", "inferline": "#c98b2b", "loki, judged by recall": "#8e6bb0"}
MEASURES = {"accuracy": "Loki's measure", "recall_accuracy": "recall counted"}


def draw_rows(rows: Sequence[Row], path: Path) -> Path:
    """Draw what is planned beyond capacity, the loads that are carried, and violations and joules of the day."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    planned, carried, late, joules = figure.subplots(1, 4)
    usual = [row for row in rows if row.part == "planned" and row.pipeline == rows[0].pipeline]
    for planner in dict.fromkeys(row.planner for row in usual):
        of = [row for row in usual if row.planner == planner]
        for measure, style in zip(MEASURES, ("-", "--"), strict=True):
            label = f"{planner}, {MEASURES[measure]}"
            values = [getattr(row, measure) for row in of]
            planned.plot([row.load for row in of], values, style, color=COLOURS[planner], label=label, marker="o")
    planned.set(title="planned", xlabel="frames/s", ylabel="accuracy")
    planned.legend(fontsize=6, frameon=False)
    loads, days = ([row for row in rows if row.part == part] for part in ("load", "day"))
    for planner in dict.fromkeys(row.planner for row in loads):
        of = [row for row in loads if row.planner == planner]
        late_of = [100 * (1 - (row.attainment or 0.0)) for row in of]
        carried.plot([row.load for row in of], late_of, "o", color=COLOURS[planner], label=planner)
    carried.set(title="load", xlabel="frames/s", ylabel="violations, %")
    for axes, values, label in (
        (late, [100 * (1 - (row.attainment or 0.0)) for row in days], "violations, %"),
        (joules, [row.joules_per_request for row in days], "joules per frame (modelled)"),
    ):
        places = range(len(days))
        axes.bar(places, values, color=[COLOURS[row.planner] for row in days])
        axes.set_xticks(places, [f"{row.planner}\n{row.accuracy:.1%}" for row in days], fontsize=7)
        axes.set(title="day", ylabel=label)
    for axes in (planned, carried, late, joules):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    return path
