"""Variants of each stage: time against accuracy, and those that no other beats."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from heterosis.figures.plan import COLOURS

if TYPE_CHECKING:
    from heterosis.variants.comparison import Comparison, Row

MARKERS = {"fp32": "o", "fp16": "^", "bf16": "v", "int8": "s"}


def draw_variants(comparison: "Comparison", path: Path) -> None:
    """Draw a panel for each stage that has several variants; the suffix of ``path`` decides the format.

    A point is a variant: its colour the engine, its shape the precision, its bar the 95 % interval of the accuracy.
    The line joins those that no other beats in time, joules and accuracy. Raise ValueError where none was measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    measured = [row for row in comparison.rows if row.point is not None and row.variant.accuracy is not None]
    count = Counter(row.variant.stage for row in measured)
    stages = [stage for stage, several in count.items() if several > 1]
    if not stages:
        raise ValueError("no stage has several variants that were measured")
    engines = list(dict.fromkeys(row.variant.engine for row in measured if row.variant.stage in stages))
    colours = {engine: COLOURS[number % len(COLOURS)] for number, engine in enumerate(engines)}
    figure = Figure(figsize=(1.6 + 4.2 * len(stages), 4.6), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        rows = [row for row in measured if row.variant.stage == stage]
        for row in rows:
            time_ms, accuracy = _place(row)
            low, high = row.variant.accuracy_interval or (accuracy, accuracy)
            axes.errorbar(
                time_ms,
                accuracy,
                yerr=[[max(0.0, accuracy - low)], [max(0.0, high - accuracy)]],
                fmt=MARKERS.get(row.variant.precision.partition("-")[0], "d"),
                color=colours[row.variant.engine],
                markerfacecolor=colours[row.variant.engine] if row.unbeaten else "white",
                elinewidth=0.5,
                markersize=7,
            )
        front = sorted(_place(row) for row in rows if row.unbeaten)
        axes.plot(*zip(*front, strict=True), color="black", linewidth=3, alpha=0.2, zorder=0)
        for row in rows:
            if row.unbeaten:
                name = f"{row.variant.model}\n{row.variant.precision}"
                axes.annotate(name, _place(row), xytext=(5, 5), textcoords="offset points", fontsize=6)
        axes.set(title=stage, xlabel="p50 of one item on one thread, ms", ylabel="accuracy of the pipeline")
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    shapes = dict.fromkeys(row.variant.precision.partition("-")[0] for row in measured if row.variant.stage in stages)
    handles = [Line2D([], [], color=colour, marker="o", linestyle="", label=e) for e, colour in colours.items()]
    handles += [
        Line2D([], [], color="grey", marker=MARKERS.get(shape, "d"), linestyle="", label=shape) for shape in shapes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    figure.suptitle(f"{comparison.pipeline} on {comparison.machine}; filled: no other variant beats it", fontsize=9)
    figure.savefig(path, dpi=150)


def _place(row: "Row") -> tuple[float, float]:
    assert row.point is not None  # noqa: S101
    return row.point.latency.p50_ms, row.variant.accuracy or 0.0
