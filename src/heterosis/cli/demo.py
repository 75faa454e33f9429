"""`heterosis demo`: the whole way, and what it gains over serving the models as they come."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from heterosis.cli.bench import show as show_report
from heterosis.cli.console import output, print_json, progress, remark
from heterosis.cli.options import DEFAULT_STORE, Budget, Json, Store
from heterosis.cli.plan import show as show_plan
from heterosis.cli.workflows import open_workflow

if TYPE_CHECKING:
    from heterosis.bench import Report
    from heterosis.bench.comparison import Side
    from heterosis.workflow.chain import Workflow

OURS, NAIVE = "heterosis", "naive"
LOAD_SHARE = 0.6
"""The load offered, as a share of what the naive setting can carry: it is not meant to drown."""


def demo(
    file: Annotated[str, Parameter(help="The pipeline file.")] = "examples/ocr/pipeline.py",
    /,
    *,
    rate: Annotated[
        float | None,
        Parameter(help="Requests per second; by default 60 % of what the naive setting can carry."),
    ] = None,
    duration: Annotated[float, Parameter(help="Seconds of load on each of the two.")] = 75.0,
    out: Annotated[Path, Parameter(help="Folder for the report and the figures.")] = Path("out/demo"),
    budget: Budget = 120.0,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Make variants, measure them, plan, serve, and offer load; then the same load to the naive setting.

    The naive setting is what one gets without a plan: the reference model of each stage on onnxruntime, in fp32, with
    the library's own choice of threads, one item a batch, first come, first served. Gateway and workers are the same.

    ```
    heterosis demo
    heterosis demo my_pipeline.py --rate 5 --duration 60
    ```
    """
    from heterosis.bench.comparison import Side
    from heterosis.figures import draw_comparison, draw_plan
    from heterosis.terms.errors import UsageError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {out} for the report: {error.strerror}") from None
    with open_workflow(file, store, budget) as workflow:
        rate = _rate(workflow) if rate is None else rate
        plans = {OURS: workflow.plan(rate), NAIVE: workflow.naive_plan(rate)}
        if not json:
            show_plan(plans[OURS], explain=False)
        sides = {}
        for name, plan in plans.items():
            (out / f"plan-{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
            report = _measure(workflow, out / f"plan-{name}.json", name, rate, duration, store)
            chosen = {stage.stage: stage.variant.name for stage in plan.stages}
            sides[name] = Side.of(report, chosen)
            if not json:
                output().print(f"\n[bold]{name}[/]")
                show_report(report)
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(sides)) + b"\n")
    slo = workflow.pipeline.slo
    title = f"{workflow.pipeline.name} at {rate:g} requests/s, p{slo.percentile:g} within {slo.latency_ms:g} ms"
    for suffix in ("png", "svg"):
        draw_plan(plans[OURS], out / f"plan.{suffix}")
        draw_comparison(sides, out / f"report.{suffix}", title=title, slo_ms=slo.latency_ms, floor=slo.min_accuracy)
    if json:
        print_json(sides)
    else:
        _compare(sides)
    remark(f"written: {out / 'report.json'}, {out / 'report.png'}, {out / 'report.svg'}")


def _rate(workflow: "Workflow") -> float:
    planned, naive = workflow.max_rate(), 1 / workflow.naive_plan(1.0).predicted.utilisation
    rate = float(f"{min(planned, LOAD_SHARE * naive):.2g}")
    remark(
        f"at most {planned:.3g}/s can be planned for, and {naive:.3g}/s would keep the naive setting busy all the "
        f"time; the load will be {rate:g}/s"
    )
    return rate


def _measure(workflow: "Workflow", plan: Path, name: str, rate: float, duration: float, store: Path) -> "Report":
    from heterosis.arrivals import poisson
    from heterosis.bench import Load, run_load
    from heterosis.workflow.subserver import serving

    load = Load(arrivals=tuple(poisson(rate, duration, seed=0)), duration_s=duration)
    with (
        serving(workflow.target, ["--plan", str(plan), "--store", str(store)]) as url,
        progress(f"Offering load to {name}", total=len(load.arrivals)) as step,
    ):
        return asyncio.run(run_load(url, workflow.pipeline, load, progress=lambda _: step()))


def _compare(sides: "dict[str, Side]") -> None:
    from rich.table import Table

    def row(label: str, figure: "Callable[[Side], float | None]", form: str) -> None:
        values = [figure(side) for side in sides.values()]
        table.add_row(label, *("unknown" if value is None else format(value, form) for value in values))

    quality = next(iter(sides.values())).joules_quality.value
    table = Table(box=None, pad_edge=False)
    table.add_column("same load, same server")
    for name in sides:
        table.add_column(name, justify="right")
    row("attainment", lambda side: side.attainment, ".2%")
    row("p50 ms", lambda side: side.p50_ms, ".0f")
    row("p99 ms", lambda side: side.p99_ms, ".0f")
    row(f"joules per request ({quality})", lambda side: side.joules_per_request, ".3g")
    row("of which dynamic", lambda side: side.dynamic_joules_per_request, ".3g")
    row("CPU ms per request", lambda side: side.cpu_ms_per_request, ".0f")
    row("accuracy", lambda side: side.accuracy, ".4f")
    output().print()
    output().print(table)
