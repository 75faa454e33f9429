"""The figures of the study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heterosis.studies.slack.cell import Row
from heterosis.studies.slack.published import CLAIM

MARKERS = "osD^vP*X"
PARTS = {"idle": "#b0b0b0", "dynamic": "#2a7f62", "switching": "#c2554a"}


def draw_rows(rows: Sequence[Row], path: Path) -> Path:
    """Draw joules against violations with 95 % intervals: a panel for each fleet and load, the bound as a line."""
    cells, policies = _axes(rows)
    figure, panels = _panels("Energy against violations", len(cells))
    for panel, (fleet, load) in zip(panels, cells, strict=True):
        of = [row for row in rows if (row.fleet, row.load) == (fleet, load)]
        for row in of:
            number = policies.index(row.planner)
            panel.errorbar(
                row.violations,
                row.joules_per_request,
                xerr=_spread(row),
                fmt=MARKERS[number % len(MARKERS)],
                color=f"C{number}",
                label=row.planner,
            )
        panel.axhline(of[0].lower_bound_joules, color="#808080", linestyle=":", label="lower bound")
        panel.axvline(CLAIM["violations"], color="#808080", linewidth=0.6)
        panel.set_xscale("symlog", linthresh=1)
        panel.set_xlim(left=-0.2)
        panel.set_title(f"{load}\n{fleet}", fontsize=9)
        panel.set_xlabel("violations, %", fontsize=9)
    return _finish(figure, panels, path, "joules per request (modelled)")


def draw_parts(rows: Sequence[Row], path: Path) -> Path:
    """Draw where each policy's joules go: a panel for each fleet and load."""
    cells, policies = _axes(rows)
    figure, panels = _panels("Where the energy goes", len(cells))
    for panel, (fleet, load) in zip(panels, cells, strict=True):
        of = [row for row in rows if (row.fleet, row.load) == (fleet, load)]
        places, bottom = [policies.index(row.planner) for row in of], [0.0] * len(of)
        for part, colour in PARTS.items():
            values = [getattr(row, f"{part}_joules") for row in of]
            panel.bar(places, values, bottom=bottom, color=colour, label=part)
            bottom = [below + value for below, value in zip(bottom, values, strict=True)]
        panel.axhline(of[0].lower_bound_joules, color="#404040", linestyle=":", label="lower bound")
        panel.set_xticks(range(len(policies)), policies, rotation=60, ha="right", fontsize=8)
        panel.set_title(f"{load}\n{fleet}", fontsize=9)
    return _finish(figure, panels, path, "joules per request (modelled)")


def _spread(row: Row) -> list[list[float]] | None:
    if row.violations_low is None or row.violations_high is None:
        return None
    return [[row.violations - max(row.violations_low, 0.0)], [row.violations_high - row.violations]]


def _axes(rows: Sequence[Row]) -> tuple[list[tuple[str, str]], list[str]]:
    return list(dict.fromkeys((row.fleet, row.load) for row in rows)), list(dict.fromkeys(row.planner for row in rows))


def _panels(title: str, count: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    columns = min(max(count, 1), 3)
    lines = -(-max(count, 1) // columns)
    figure = Figure(figsize=(3.4 * columns, 3 * lines + 0.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[: max(count, 1)]


def _finish(figure: Any, panels: Sequence[Any], path: Path, label: str) -> Path:
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_ylabel(label, fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    return path
