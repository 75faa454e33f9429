"""The study's figure: what the pool of each rule is allowed, as a share of the best of all pools."""

from collections.abc import Sequence
from pathlib import Path

from heterosis.studies.kairos.figures import COLOURS, WHOLE
from heterosis.studies.pool.comparison import Row


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw into a folder; the paths drawn to."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots()
    groups = list(dict.fromkeys((row.model, row.policy) for row in rows))
    rules = list(dict.fromkeys(row.rule for row in rows))
    width = 0.8 / len(rules)
    for number, rule in enumerate(rules):
        of_rule = {(row.model, row.policy): row for row in rows if row.rule == rule}
        places = [place + (number - (len(rules) - 1) / 2) * width for place in range(len(groups))]
        shares = [100 * of_rule[group].share_of_best for group in groups]
        axes.bar(places, shares, width=0.92 * width, label=rule, color=COLOURS[number % len(COLOURS)])
        for place, share, group in zip(places, shares, groups, strict=True):
            row = of_rule[group]
            text = f"{row.allowable_qps:.{0 if row.allowable_qps >= WHOLE else 1}f}/s on {','.join(map(str, row.pool))}"
            axes.text(place, share + 1, text, ha="center", va="bottom", rotation=90, fontsize=7)
    several = len({policy for _, policy in groups}) > 1
    axes.set_xticks(range(len(groups)), [f"{model}\n{policy}" if several else model for model, policy in groups])
    axes.axhline(100, color="#b03a2e", linewidth=1, linestyle="--", zorder=0, alpha=0.5)
    axes.set_ylim(0, 150)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("allowable load, % of the best of all pools")
    axes.set_title(f"Pools for ${rows[0].budget:g} an hour in KAIROS' setting, by rule", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(rules), frameon=False, fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pool.png"
    figure.savefig(path, dpi=150)
    return [path]
