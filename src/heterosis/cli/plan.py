"""`heterosis plan`: what to serve, where, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import DEFAULT_STORE, Accuracy, Budget, Json, Naive, ProfileFile, Rate, SloMs, Store
from heterosis.cli.workflows import open_workflow
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.terms import Energy, Plan


def plan(  # noqa: PLR0913 - one for each option
    file: Annotated[
        str,
        Parameter(
            help="A Python file that defines a pipeline (FILE:NAME where it defines several); with --fleet also the "
            "name of a published pipeline, for example traffic.",
        ),
    ],
    /,
    *,
    rate: Rate = 1.0,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    explain: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Say for every option why it was or was not taken.")
    ] = False,
    naive: Naive = False,
    fleet: Annotated[
        str | None,
        Parameter(
            help="Plan for these devices instead of this machine's: a fleet that ships with heterosis (edge-rack), or "
            "a file, TOML or the JSON of `heterosis devices`."
        ),
    ] = None,
    objective: Annotated[
        str | None,
        Parameter(
            help="For a fleet: what to have least of, energy (the default), price, carbon, devices, busy (slots, on "
            "average), or of accuracy most; several with commas, each later one deciding among what is equally good by "
            "those before it."
        ),
    ] = None,
    carbon: Annotated[float | None, Parameter(help="For a fleet: grams of CO2 that a kWh costs.")] = None,
    planner: Annotated[
        str | None, Parameter(help="For a fleet: a published planner, such as inferline or nexus, instead of ours.")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="For a fleet: plan with changes, too, and compare: rate=2x or rate=20, slo=300, accuracy=0.9, "
            "devices=orin-nx:+1; several with commas. Can be given several times.",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        Parameter(help="For a fleet: draw the plan to this file; its suffix decides the format."),
    ] = None,
    profile: ProfileFile = None,
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
    heterosis plan ocr.py --profile rack.json --fleet rack.toml --rate 20
    heterosis plan traffic --fleet edge-rack --rate 10 --explain
    heterosis plan traffic --fleet edge-to-cloud --rate 30 --objective price,energy --figure plan.svg
    heterosis plan traffic --fleet edge-rack --rate 10 --what-if rate=2x --what-if slo=300,devices=orin-nx:+1
    heterosis plan traffic --fleet edge-rack --rate 10 --planner inferline
    ```
    """
    if fleet is not None:
        if naive:
            raise UsageError("--naive takes this machine as it is; leave it out, or leave out --fleet")
        from heterosis.cli.plan_fleet import FleetOptions, open_fleet_of, plan_for_fleet
        from heterosis.cli.what_if import Asked

        options = FleetOptions(
            target=file,
            store=store,
            budget=budget,
            profile=profile,
            objectives=objective or "energy",
            carbon=carbon,
            planner=planner or "heterosis",
            explain=explain,
        )
        asked = Asked(rate_rps=rate, latency_ms=slo, min_accuracy=accuracy, fleet=open_fleet_of(fleet))
        plan_for_fleet(options, asked, what_if or (), json=json, figure=figure)
        return
    asked_of_fleet = {
        "--objective": objective,
        "--carbon": carbon,
        "--planner": planner,
        "--what-if": what_if,
        "--figure": figure,
    }
    for name, value in asked_of_fleet.items():
        if value is not None:
            raise UsageError(f"{name} is for plans of a fleet: say which with --fleet, for example --fleet edge-rack")
    with open_workflow(file, store, slo=slo, accuracy=accuracy, budget=budget, profile=profile) as workflow:
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
