"""`heterosis plan`: what to serve, where, and why."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import DEFAULT_STORE, Accuracy, Budget, Json, Naive, PipelineFile, Rate, SloMs, Store
from heterosis.cli.workflows import open_workflow

if TYPE_CHECKING:
    from heterosis.terms import Energy, Plan


def plan(  # noqa: PLR0913 - one for each option
    file: PipelineFile,
    /,
    *,
    rate: Rate = 1.0,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    explain: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Say for every option why it was or was not taken.")
    ] = False,
    naive: Naive = False,
    budget: Budget = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Find the cheapest mix that meets the SLO at a rate: variants, instances, batches, and where they run.

    Cheapest is least dynamic energy, or least CPU time where the power of the devices is unknown.

    ```
    heterosis plan ocr.py --rate 2
    heterosis plan ocr.py --rate 5 --slo 800 --accuracy 0.95 --explain
    heterosis plan ocr.py --rate 2 --json > plan.json
    ```
    """
    with open_workflow(file, store, slo=slo, accuracy=accuracy, budget=budget) as workflow:
        found = workflow.naive_plan(rate) if naive else workflow.plan(rate)
    if json:
        print_json(found)
    else:
        show(found, explain=explain)


def show(found: "Plan", *, explain: bool = False) -> None:
    """Print a plan for people; with ``explain``, why every option was or was not taken."""
    if explain:
        from heterosis.planning import explain as in_words

        for line in in_words(found):
            output().print(line, markup=False)
        return
    from rich.table import Table

    console = output()
    slo, predicted = found.slo, found.predicted
    accuracy = "" if slo.min_accuracy is None else f", accuracy at least {slo.min_accuracy:g}"
    console.print(
        f"{found.pipeline} at {found.rate_rps:g}/s: {slo.percentile:g} % within {slo.latency_ms:g} ms{accuracy}",
        markup=False,
    )
    console.print()
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "variant", "instances"):
        table.add_column(name)
    for name in ("threads", "batch up to", "budget ms", "calls/s", "busy"):
        table.add_column(name, justify="right")
    for stage in found.stages:
        placed = [placement for placement in found.placements if placement.configuration.stage == stage.stage]
        where = ", ".join(f"{each.device} {'+'.join(map(str, each.slots)) or 'unmanaged'}" for each in placed)
        table.add_row(
            stage.stage,
            stage.variant.name,
            f"{len(placed)} on {where}",
            ", ".join(sorted({str(each.configuration.threads or "all") for each in placed})),
            ", ".join(sorted({str(each.max_batch) for each in placed})),
            f"{stage.budget_ms:.0f}",
            f"{stage.demand_per_s:.3g}",
            f"{stage.utilisation:.0%}",
        )
    console.print(table)
    console.print()
    expected = [f"p{slo.percentile:g} {predicted.latency_ms:.0f} ms", f"busiest slot {predicted.utilisation:.0%} busy"]
    if predicted.accuracy is not None:
        expected.append(f"accuracy {predicted.accuracy:.4f}")
    expected.append(f"dynamic energy {_amount(predicted.dynamic_energy_per_request, 'J')} per request")
    expected.append(f"power of the fleet {_amount(predicted.power, 'W')}")
    console.print("expected: " + ", ".join(expected), markup=False)
    for reason in found.reasons:
        console.print(f"- {reason}", markup=False)


def _amount(energy: "Energy", unit: str) -> str:
    return "unknown" if energy.joules is None else f"{energy.joules:.3g} {unit} ({energy.quality.value})"
