"""The study's figure: allowable load of each policy on each model's pool, as a share of what no policy can exceed."""

from collections.abc import Sequence
from pathlib import Path

from heterosis.studies.kairos.comparison import Row

COLOURS = ("#4a90c2", "#2a7f62", "#c98b2b", "#8e6bb0", "#b0574a", "#7a8b3c")
WHOLE = 100
"""From this many queries per second on, tenths are not shown."""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw into a folder; the paths drawn to."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots()
    models = list(dict.fromkeys(row.model for row in rows))
    policies = list(dict.fromkeys(row.policy for row in rows))
    width = 0.8 / len(policies)
    for number, policy in enumerate(policies):
        of_policy = {row.model: row for row in rows if row.policy == policy}
        places = [place + (number - (len(policies) - 1) / 2) * width for place in range(len(models))]
        shares = [100 * of_policy[model].lp_share for model in models]
        axes.bar(places, shares, width=0.92 * width, label=policy, color=COLOURS[number % len(COLOURS)])
        for place, model in zip(places, models, strict=True):
            row = of_policy[model]
            ends = [100 * (end or row.allowable_qps) / row.lp_bound for end in (row.ci_low, row.ci_high)]
            axes.plot([place, place], ends, color="black", linewidth=1)
            text = f"{row.allowable_qps:.{0 if row.allowable_qps >= WHOLE else 1}f}/s"
            axes.text(place, ends[1] + 1, text, ha="center", va="bottom", rotation=90, fontsize=7)
    bound = {row.model: row for row in rows}
    labels = [f"{model}\nbound {bound[model].lp_bound:.4g}/s" for model in models]
    axes.set_xticks(range(len(models)), labels)
    axes.axhline(100, color="#b03a2e", linewidth=1, linestyle="--")
    axes.set_ylim(0, 115)
    axes.set_ylabel("allowable load, % of the LP bound")
    axes.set_title("KAIROS' setting: load with at most 1 % violations, with 95 % intervals", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(policies), frameon=False, fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kairos.png"
    figure.savefig(path, dpi=150)
    return [path]
