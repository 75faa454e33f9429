"""The figure of the study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

PARTS = {"idle_j": "#b0b0b0", "dynamic_j": "#2a7f62", "switching_j": "#c28f4a", "starting_j": "#4a90c2"}


def draw_joules(rows: Sequence[Any], path: Path) -> Path:
    """Draw what each planner spends on a request and on what; attainment stands beside its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.45 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    names = [f"{row.planner} ({row.attainment:.1%} in time)" for row in rows]
    left = [0.0] * len(rows)
    for part, colour in PARTS.items():
        widths = [getattr(row, part) for row in rows]
        axes.barh(names, widths, left=left, color=colour, label=part.removesuffix("_j"))
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for figure_of, style, label in (
        ("whole_devices_joules", "-", "nobody does better with whole devices"),
        ("lower_bound_joules", ":", "nor with devices that can be divided"),
    ):
        axes.axvline(getattr(rows[0], figure_of), color="black", linestyle=style, linewidth=1, label=label)
    axes.invert_yaxis()
    axes.set_xlabel("joules per request (modelled)")
    axes.set_title(f"{rows[0].pipeline} on {rows[0].fleet}, a day with bursts, {rows[0].runs} days each", fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    return path
