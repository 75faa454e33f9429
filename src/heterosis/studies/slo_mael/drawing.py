"""The figures of the study."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from heterosis.studies.slo_mael.cell import Row


def draw_violations(rows: Sequence[Row], path: Path) -> Path:
    """Draw each policy's violations, with 95 % intervals: a panel for each cell of the grid."""

    def bars(axes: Any, row: Row, place: float) -> None:
        spread = [[row.violations - row.violations_low], [row.violations_high - row.violations]]
        axes.barh(place, row.violations, xerr=spread, color=_colour(row.policy), height=0.7)

    return _draw(rows, bars, f"Violations, {rows[0].runs} runs each" if rows else "Violations", path)


def draw_classes(rows: Sequence[Row], path: Path) -> Path:
    """Draw the violations of each model as a dot, the mean as a bar: whose requests pay."""

    def dots(axes: Any, row: Row, place: float) -> None:
        axes.barh(place, row.violations, color=_colour(row.policy), height=0.7, alpha=0.4)
        axes.scatter(list(row.classes.values()), [place] * len(row.classes), s=10, color="#333333", zorder=3)

    return _draw(rows, dots, "Violations of each model (dots) and of all requests (bars)", path)


def _colour(policy: str) -> str:
    return "#2a7f62" if policy.startswith("heterosis") else "#b0b0b0"


def _draw(rows: Sequence[Row], mark: Callable[[Any, Row, float], None], title: str, path: Path) -> Path:
    from matplotlib.figure import Figure

    cells = list(dict.fromkeys((row.bias, row.n, row.intensity) for row in rows))
    policies = list(dict.fromkeys(row.policy for row in rows))
    biases = list(dict.fromkeys(bias for bias, _, _ in cells))
    columns = max((sum(bias == each for each, _, _ in cells) for bias in biases), default=1)
    figure = Figure(figsize=(2.6 * columns + 2, max(len(biases), 1) * (1 + 0.28 * len(policies)) + 1))
    figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(max(len(biases), 1), columns, sharey=True, sharex=True, squeeze=False)
    for line, bias in enumerate(biases):
        for axes, at in zip(panels[line], (each for each in cells if each[0] == bias), strict=False):
            for row in rows:
                if (row.bias, row.n, row.intensity) == at:
                    mark(axes, row, policies.index(row.policy))
            axes.set_title(f"{at[1]:g} x base, intensity {at[2]:g}, run times x {bias:g}", fontsize=8)
            axes.set_yticks(range(len(policies)), policies, fontsize=8)
            axes.set_xlim(0, 100)
            axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("violations, %", fontsize=8)
    if policies:
        panels[0][0].invert_yaxis()
    figure.savefig(path, dpi=150)
    return path
