"""A plan: slots as rows, what runs on each, and how busy it keeps it."""

from pathlib import Path

from heterosis.terms import Placement, Plan

COLOURS = ("#2a7f62", "#4a90c2", "#c98b2b", "#8e6bb0", "#b0574a", "#7a8b3c")
ANYWHERE = "any slot"


def draw_plan(plan: Plan, path: Path) -> None:
    """Draw a plan. A row's width is all the time of a slot; each block is the share that one stage keeps it busy."""
    from matplotlib.figure import Figure

    rows: dict[str, list[Placement]] = {}
    for placement in plan.placements:
        for row in [f"{placement.device}\nslot {slot}" for slot in placement.slots] or [ANYWHERE]:
            rows.setdefault(row, []).append(placement)
    colours = {stage.stage: COLOURS[number % len(COLOURS)] for number, stage in enumerate(plan.stages)}
    figure = Figure(figsize=(10, 2.2 + 0.7 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for height, (_, placements) in enumerate(sorted(rows.items())):
        left = 0.0
        for placement in placements:
            share = 100 * plan.stage(placement.configuration.stage).utilisation
            axes.barh(height, share, left=left, height=0.6, color=colours[placement.configuration.stage])
            left += share
    axes.set_yticks(range(len(rows)), sorted(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("time of the slot, %")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [_label(plan, stage.stage, colours[stage.stage]) for stage in plan.stages]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    slo, energy = plan.slo, plan.predicted.dynamic_energy_per_request
    joules = "" if energy.joules is None else f", {energy.joules:.3g} J dynamic ({energy.quality.value}) per request"
    accuracy = "" if plan.predicted.accuracy is None else f", accuracy {plan.predicted.accuracy:.3f}"
    figure.suptitle(
        f"{plan.pipeline} at {plan.rate_rps:g}/s: p{slo.percentile:g} {plan.predicted.latency_ms:.0f} ms "
        f"of {slo.latency_ms:g} ms{joules}{accuracy}",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)


def _label(plan: Plan, stage: str, colour: str) -> "object":
    from matplotlib.patches import Patch

    placed = [placement for placement in plan.placements if placement.configuration.stage == stage]
    threads = placed[0].configuration.threads or "all"
    details = f"{len(placed)} x {threads} thread(s), batch up to {placed[0].max_batch}"
    return Patch(color=colour, label=f"{stage}: {plan.stage(stage).variant.name}\n{details}")
