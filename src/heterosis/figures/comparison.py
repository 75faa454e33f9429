"""Settings under the same load, side by side."""

from collections.abc import Mapping
from pathlib import Path

from heterosis.bench.comparison import Side


def draw_comparison(sides: Mapping[str, Side], path: Path, *, title: str, slo_ms: float, floor: float | None) -> None:
    """Draw attainment, p99, joules and accuracy of each side; the suffix of ``path`` decides the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    figure.suptitle(title)
    qualities = sorted({side.joules_quality.value for side in sides.values()})
    panels: tuple[tuple[str, str, list[float | None], float | None], ...] = (
        ("SLO attainment", "%", [100 * side.attainment for side in sides.values()], None),
        ("p99 latency", "ms", [side.p99_ms for side in sides.values()], slo_ms),
        (
            f"energy per request ({', '.join(qualities)})",
            "J",
            [side.joules_per_request for side in sides.values()],
            None,
        ),
        ("accuracy", "", [side.accuracy for side in sides.values()], floor),
    )
    for axes, (name, unit, values, limit) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        bars = axes.bar(list(sides), [value or 0.0 for value in values], color=["#2a7f62", "#b0b0b0"], width=0.6)
        axes.bar_label(bars, ["unknown" if value is None else f"{value:.4g} {unit}" for value in values], padding=2)
        if limit is not None:
            axes.axhline(limit, color="#b03a2e", linewidth=1, linestyle="--")
        axes.set_title(name, fontsize=10)
        axes.margins(y=0.18)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
