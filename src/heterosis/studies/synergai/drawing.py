"""The figures of the study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heterosis.studies.synergai.cell import Row
from heterosis.studies.synergai.gains import Gain, beside_the_claims

COLOURS = {"static": "#b0b0b0", "chosen": "#2a7f62", "ordering": "#4a90c2", "choosing": "#2a7f62"}


def draw_rows(rows: Sequence[Row], path: Path) -> Path:
    """Draw violations, with 95 % intervals, and joules: a column for each load, a pair of bars for each policy."""
    loads, policies = _axes(rows)
    title = f"Violations and energy, VM {rows[0].vm}, {rows[0].runs} runs each{_claims(rows)}"
    figure, panels = _panels(title, len(loads), len(policies))
    for column, load in enumerate(loads):
        for offset, name in ((-0.2, "static"), (0.2, "chosen")):
            of = {row.policy: row for row in rows if row.load == load and row.configuration == name}
            places = [number + offset for number, policy in enumerate(policies) if policy in of]
            shown = [of[policy] for policy in policies if policy in of]
            spread = [
                [0.0 if row.violations_low is None else row.violations - row.violations_low for row in shown],
                [0.0 if row.violations_high is None else row.violations_high - row.violations for row in shown],
            ]
            look = {"height": 0.38, "color": COLOURS[name], "label": f"{name} configurations"}
            panels[0][column].barh(places, [row.violations for row in shown], xerr=spread, **look)
            panels[1][column].barh(places, [row.joules_per_request for row in shown], **look)
        panels[0][column].set_title(f"load {load:g}", fontsize=10)
        panels[0][column].set_xlabel("violations, %", fontsize=9)
        panels[0][column].set_xlim(0, 100)
        panels[1][column].set_xlabel("joules per job (modelled)", fontsize=9)
    return _finish(figure, panels, policies, path)


def draw_gains(found: Sequence[Gain], path: Path) -> Path:
    """Draw what ordering (static, against first come first served) and what choosing adds to it."""
    loads, policies = _axes(found)
    figure, panels = _panels(
        f"What ordering and what choosing configurations are worth, VM {found[0].vm}", len(loads), len(policies)
    )
    for column, load in enumerate(loads):
        of = {gain.policy: gain for gain in found if gain.load == load}
        places = [number for number, policy in enumerate(policies) if policy in of]
        shown = [of[policy] for policy in policies if policy in of]
        bars = (
            (0, "ordering", [gain.ordering_violations for gain in shown]),
            (0, "choosing", [gain.choosing_violations for gain in shown]),
            (1, "ordering", [gain.ordering_j for gain in shown]),
            (1, "choosing", [gain.choosing_j for gain in shown]),
        )
        for row, name, values in bars:
            shift = -0.2 if name == "ordering" else 0.2
            shifted = [place + shift for place in places]
            panels[row][column].barh(shifted, values, height=0.38, color=COLOURS[name], label=name)
        panels[0][column].set_title(f"load {load:g}", fontsize=10)
        panels[0][column].set_xlabel("fewer violations, points", fontsize=9)
        panels[1][column].set_xlabel("fewer joules per job", fontsize=9)
    return _finish(figure, panels, policies, path)


def _claims(rows: Sequence[Row]) -> str:
    found = beside_the_claims(rows)
    parts = [f"{name} {claimed:g}x (here {ours:.2g}x)" for name, (claimed, ours) in found.items()]
    return f"\nSynergAI's paper claims to be below SLO-MAEL by: {', '.join(parts)}" if parts else ""


def _axes(cells: Sequence[Row] | Sequence[Gain]) -> tuple[list[float], list[str]]:
    return sorted({each.load for each in cells}), list(dict.fromkeys(each.policy for each in cells))


def _panels(title: str, columns: int, policies: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * max(columns, 1) + 1, 2 * (1 + 0.32 * policies) + 1), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure, figure.subplots(2, max(columns, 1), sharey=True, sharex="row", squeeze=False)


def _finish(figure: Any, panels: Any, policies: Sequence[str], path: Path) -> Path:
    for row in panels:
        for axes in row:
            axes.set_yticks(range(len(policies)), policies, fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
            axes.axvline(0, color="#808080", linewidth=0.6)
    if policies:
        panels[0][0].invert_yaxis()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)
    return path
