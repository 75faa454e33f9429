"""A plan for a fleet: kinds of devices as rows, what runs on them, and how busy it keeps them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heterosis.figures.plan import COLOURS

if TYPE_CHECKING:
    from heterosis.workflow.fleets import Row

ROOM = 55.0
"""Per cent of the time up to which there is room beside the blocks to say what they are."""


def draw_fleet(rows: "Sequence[Row]", path: Path, *, title: str) -> None:
    """Draw a plan. A row's width is all the time of its devices; each block is what one stage takes of it.

    Beside it stands what the devices draw: with nothing to do, and for their calls. The suffix of ``path`` decides the
    format.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    stages = list(dict.fromkeys(host.stage for row in rows for host in row.hosts))
    colours = {stage: COLOURS[number % len(COLOURS)] for number, stage in enumerate(stages)}
    figure = Figure(figsize=(11, 1.8 + 0.8 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for height, row in enumerate(rows):
        left = 0.0
        for host in row.hosts:
            share = 100 * host.busy
            axes.barh(height, share, left=left, height=0.6, color=colours[host.stage])
            left += share
        told = "\n".join(f"{host.variant}, batch {host.batch}, {host.calls_per_s:.3g} calls/s" for host in row.hosts)
        beside = left < ROOM
        axes.text(
            left + 1 if beside else 1, height, told, va="center", fontsize=8, color="black" if beside else "white"
        )
        axes.text(101, height, _watts(row), va="center", fontsize=8)
    names = [f"{row.count} of {row.available} {row.device_type}\n{row.power_mode}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("time of the devices, %")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=colour, label=stage) for stage, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


def _watts(row: "Row") -> str:
    idle = "unknown" if row.idle_w is None else f"{row.idle_w:.3g} W idle"
    dynamic = [host.dynamic_w for host in row.hosts if host.dynamic_w is not None]
    calls = [
        f"{host.stage} {host.dynamic_w / host.calls_per_s:.2g} J/call"
        for host in row.hosts
        if host.dynamic_w is not None
    ]
    return "\n".join([f"{idle}, {sum(dynamic):.3g} W for calls", ", ".join(calls)])
