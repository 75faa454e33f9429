"""Device types as they run one model: time against joules."""

from collections.abc import Sequence
from pathlib import Path

from heterosis.catalogue.comparison import Row, pareto


def draw_catalogue(rows: Sequence[Row], path: Path, *, model: str) -> None:
    """Draw a line for each place, a point for each batch size; what no other point beats in both is marked.

    Filled points are published, hollow ones modelled. The suffix of ``path`` decides the format.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row.type for row in rows))
    colours = colormaps["tab20"]
    for row in rows:
        colour = colours(names.index(row.type) % 20)
        times, joules = [batch.latency_ms for batch in row.batches], [batch.total_j for batch in row.batches]
        axes.plot(
            times,
            joules,
            marker="o",
            markersize=5,
            color=colour,
            linewidth=1,
            linestyle="--" if row.mode == "MaxQ" else "-",
            markerfacecolor=colour if row.quality == "published" else "white",
            label=row.place,
        )
    front = pareto([(batch.latency_ms, batch.total_j) for row in rows for batch in row.batches])
    axes.plot(*zip(*front, strict=True), color="black", linewidth=3, alpha=0.25, label="Pareto front", zorder=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="mean time of a batch, ms",
        ylabel="joules per item, share of idle power included",
        title=f"{model}: batches of {rows[0].batches[0].size} to {max(row.batches[-1].size for row in rows)}",
    )
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, dpi=150)
