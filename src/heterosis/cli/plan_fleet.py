"""`heterosis plan --fleet`: which devices of a fleet to switch on, in which mode, and what runs on them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from heterosis.cli.console import output, print_json, progress, remark
from heterosis.cli.what_if import Asked, changed
from heterosis.planning.fleet import Objective, Task
from heterosis.planning.fleet.explain import UNITS, Explanation, explain
from heterosis.simulation import Interval
from heterosis.terms import NO_OVERHEAD, Fleet, Overhead, Plan
from heterosis.terms.errors import UsageError
from heterosis.workflow.fleets import OURS, Row, expected, plan_fleet, rows

if TYPE_CHECKING:
    from rich.table import Table

    from heterosis.planning.fleet.planner import Answer

MakeTask = Callable[[Asked], Task]
SEEDS = 5
SAME = 1e-6
"""Relative differences of costs below this are none but for rounding."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan for a fleet, and what it is expected to do."""

    what_if: str
    """What was changed; empty for what was asked for."""
    planner: str
    cost: float | None
    """By the first objective, in ``unit``."""
    unit: str
    bound: float | None
    """Of the same cost: no plan can have less. None where that is no cost."""
    power_w: float | None
    price_per_hour: float | None
    accuracy: float | None
    rows: tuple[Row, ...]
    figures: dict[str, Interval]
    """Of the simulator's report."""
    holds: bool
    """Whether it met the SLO in the simulator."""
    plan: Plan
    explanation: Explanation | None = None


class FleetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options that stay the same through all what-ifs."""

    target: str
    store: Path
    budget: float | None
    profile: Path | None
    objectives: str
    carbon: float | None
    planner: str
    explain: bool


def plan_for_fleet(
    options: FleetOptions, asked: Asked, what_ifs: Sequence[str], *, json: bool, figure: Path | None
) -> None:
    """Plan, and print what was found."""
    if options.explain and options.planner != OURS:
        raise UsageError(f"--explain says why our own plan is as it is; leave out --planner {options.planner}")
    cases = {"": asked, **{text: changed(asked, text) for text in what_ifs}}
    make = task_maker(options)
    found = []
    with progress(f"Planning {options.target}", total=None) as step:
        for text, each in cases.items():
            found.append(_planned(options, text, make(each), step))
    if figure is not None:
        _draw(found[0], figure)
    if json:
        print_json(found[0] if len(found) == 1 else found)
        return
    show(found[0])
    if len(found) > 1:
        show_side_by_side(found)


def open_fleet_of(name: str) -> Fleet:
    """Return a fleet by its name, or of a file: TOML, or JSON as `heterosis devices --json` writes it."""
    from heterosis.catalogue import open_fleet
    from heterosis.cli.files import read_json

    if name.endswith(".json"):
        return read_json(Path(name), Fleet, "fleet", "heterosis devices --json")
    return open_fleet(name)


def task_maker(options: FleetOptions) -> MakeTask:
    """Return what makes tasks of a published pipeline, or of a pipeline file, which is profiled here if need be."""
    from heterosis.catalogue import open_pipeline
    from heterosis.cli.workflows import open_workflow
    from heterosis.planning.fleet import Workload
    from heterosis.workflow.goals import goal

    objectives = tuple(_objective(name.strip()) for name in options.objectives.split(","))

    def task(asked: Asked, served: Workload, overhead: Overhead = NO_OVERHEAD) -> Task:
        slo = goal(served.slo, latency_ms=asked.latency_ms, min_accuracy=asked.min_accuracy)
        return Task(
            workloads=(msgspec.structs.replace(served, slo=slo),),
            fleet=asked.fleet,
            objectives=objectives,
            carbon_g_per_kwh=options.carbon,
            overhead=overhead.apart,
        )

    if ".py" in options.target:
        with open_workflow(options.target, options.store, budget=options.budget, profile=options.profile) as workflow:
            own = Workload(
                graph=workflow.trace.graph,
                slo=workflow.slo,
                rate_rps=1.0,
                variants=workflow.variants,
                profile=workflow.profile(capacity=True),
            )
            overhead = workflow.overhead(own.profile)
        return lambda asked: task(asked, msgspec.structs.replace(own, rate_rps=asked.rate_rps), overhead)
    known = open_pipeline(options.target)

    def published(asked: Asked) -> Task:
        return task(
            asked,
            Workload(
                graph=known.graph,
                slo=known.slo,
                rate_rps=asked.rate_rps,
                variants=known.variants,
                profile=known.profile(asked.fleet),
            ),
        )

    return published


def _objective(name: str) -> Objective:
    try:
        return Objective(name)
    except ValueError:
        raise UsageError(f"no objective {name!r}; there are: {', '.join(Objective)}") from None


def _planned(options: FleetOptions, what_if: str, task: Task, step: Callable[..., object]) -> Planned:
    from heterosis.planning.fleet import accuracy, by_objective, holds, lower_bound, power_w, price_per_hour, to_plan

    answer: Answer = plan_fleet(task, options.planner, step)
    allotment, first = answer.allotment, task.objectives[0]
    step("simulating")
    figures = expected(task, allotment, SEEDS)
    verdict = answer.verdict
    return Planned(
        what_if=what_if,
        planner=options.planner,
        cost=by_objective(task, allotment),
        unit=UNITS[first],
        bound=None if first is Objective.ACCURACY else lower_bound(task),
        power_w=power_w(task, allotment),
        price_per_hour=price_per_hour(task, allotment),
        accuracy=accuracy(task.workloads[0], allotment),
        rows=rows(task, allotment),
        figures=figures,
        holds=verdict is not None and holds(task, verdict),
        plan=to_plan(task, allotment),
        explanation=explain(task, answer) if options.explain and not what_if else None,
    )


def _draw(found: Planned, path: Path) -> None:
    from heterosis.figures.fleet import draw_fleet

    try:
        draw_fleet(found.rows, path, title=_title(found))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot draw to {path}: {error}") from None
    remark(f"drawn to {path}")


def _title(found: Planned) -> str:
    plan = found.plan
    floor = "" if plan.slo.min_accuracy is None else f", accuracy at least {plan.slo.min_accuracy:g}"
    return f"{plan.pipeline} at {plan.rate_rps:g}/s: {plan.slo.percentile:g} % within {plan.slo.latency_ms:g} ms{floor}"


# --- for people


def show(found: Planned) -> None:
    """Print a plan: what is on, what it should do, and why."""
    from rich.table import Table

    console = output()
    console.print(_title(found), markup=False)
    console.print()
    table = Table("devices", "mode", "stage", "variant", box=None, pad_edge=False)
    for name in ("batch up to", "open ms", "calls/s", "busy", "idle W", "W for calls"):
        table.add_column(name, justify="right")
    for row in found.rows:
        for number, host in enumerate(row.hosts):
            table.add_row(
                "" if number else f"{row.count} of {row.available} {row.device_type}",
                "" if number else row.power_mode,
                host.stage,
                host.variant,
                str(host.batch),
                f"{host.open_ms:.0f}",
                f"{host.calls_per_s:.3g}",
                f"{host.busy:.0%}",
                "" if number else _known(row.idle_w),
                _known(host.dynamic_w),
            )
    console.print(table)
    console.print()
    bound = "" if found.bound is None else f"; no plan can have less than {found.bound:.4g}"
    console.print(f"cost: {_known(found.cost)} {found.unit}{bound}", markup=False)
    console.print(_summary(SUMMARY, [found]))
    if not found.holds:
        console.print("the SLO was missed in the simulator", style="bold red")
    if found.explanation is not None:
        _show_explanation(found.explanation)


def _show_explanation(explanation: Explanation) -> None:
    console = output()
    console.print()
    for line in explanation.lines():
        console.print(f"- {line}", markup=False)
    stage = ""
    for option in sorted(explanation.options, key=lambda each: (each.stage, not each.chosen)):
        if option.stage != stage:
            stage = option.stage
            console.print(f"\n{stage}:", markup=False)
        at = option.configuration
        mode = "" if at.power_mode == "default" else f", {at.power_mode}"
        mark = "*" if option.chosen else "-"
        console.print(
            f"  {mark} {at.variant}, {at.device_type}{mode}, batch {option.batch}: {option.reason}", markup=False
        )


SUMMARY: Mapping[str, tuple[str, float]] = {
    "attainment, %": ("attainment", 100),
    "p50, ms": ("latency_ms.p50", 1),
    "p99, ms": ("latency_ms.p99", 1),
    "J per answer in time": ("energy.per_answer.joules", 1),
}
"""What people are shown of the simulation: title, figure, factor."""


def show_side_by_side(found: Sequence[Planned]) -> None:
    """Print what was asked for beside what would be if."""
    console = output()
    console.print()
    console.print(_summary({"cost": ("", 1), **SUMMARY}, found, devices=True))


def _summary(rows_of: Mapping[str, tuple[str, float]], found: Sequence[Planned], *, devices: bool = False) -> "Table":
    from rich.table import Table

    base = found[0]
    heads = ["in the simulator" if len(found) == 1 else "as asked", *(each.what_if for each in found[1:])]
    table = Table("", *heads, box=None, pad_edge=False)
    for title, (figure, factor) in rows_of.items():
        if not figure:
            table.add_row(f"{title}, {base.unit}", *(_costs(each, base) for each in found))
            continue
        table.add_row(title, *(_interval(each.figures.get(figure), factor) for each in found))
    table.add_row("price, $/h", *(_known(each.price_per_hour) for each in found))
    table.add_row("accuracy", *(_known(each.accuracy) for each in found))
    if devices:
        table.add_row("devices", *(_devices(each) for each in found))
    return table


def _costs(found: Planned, base: Planned) -> str:
    if found is base or found.cost is None or base.cost is None:
        return _known(found.cost)
    more = found.cost - base.cost
    return f"{found.cost:.4g} ({more:+.3g})" if abs(more) > SAME * abs(base.cost) else f"{found.cost:.4g} (the same)"


def _devices(found: Planned) -> str:
    return ", ".join(f"{row.count} {row.device_type} {row.power_mode}" for row in found.rows)


def _interval(interval: Interval | None, factor: float) -> str:
    if interval is None:
        return "unknown"
    spread = "" if interval.high is None else f" ± {(interval.high - interval.mean) * factor:.2g}"
    return f"{interval.mean * factor:.4g}{spread}"


def _known(figure: float | None) -> str:
    return "unknown" if figure is None else f"{figure:.4g}"
