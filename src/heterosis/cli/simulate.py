"""`heterosis simulate`: a plan under load, in virtual time."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, print_json, progress, remark
from heterosis.cli.options import DEFAULT_STORE, Budget, Json, SloMs, Store
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.simulation import Interval
    from heterosis.terms import Fleet, PipelineGraph, Plan


def simulate(  # noqa: PLR0913 - one for each option
    file: Annotated[
        str,
        Parameter(
            help="A Python file that defines a pipeline (FILE:NAME where it defines several), or the JSON of "
            "a traced graph, which needs --plan."
        ),
    ],
    /,
    *,
    rate: Annotated[float | None, Parameter(help="Requests per second; by default what the plan is for.")] = None,
    plan: Annotated[
        Path | None, Parameter(help="Simulate this plan, as `heterosis plan --json` wrote it, and do not plan anew.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        Parameter(negative=(), help="Scheduling policy, instead of the plan's own; give several to compare them."),
    ] = None,
    arrivals: Annotated[
        str,
        Parameter(
            help="poisson, bursts, diurnal (a day in the length of the run), surges (likewise, with a "
            "flash crowd), integer (gaps of whole milliseconds), or a trace: a CSV or JSON file."
        ),
    ] = "poisson",
    requests: Annotated[int | None, Parameter(help="How many requests; by default 10000, or the whole trace.")] = None,
    duration: Annotated[float | None, Parameter(help="Seconds of load, instead of a number of requests.")] = None,
    seeds: Annotated[int, Parameter(help="Repetitions, each with arrivals and run times of its own.")] = 5,
    bias: Annotated[float, Parameter(help="What the real run times are, as a multiple of the profiled ones.")] = 1.0,
    fleet: Annotated[
        Path | None,
        Parameter(
            help="Devices whose idle power counts, as `heterosis devices --json` wrote them, where "
            "they are not this machine's."
        ),
    ] = None,
    trace_out: Annotated[
        Path | None,
        Parameter(
            help="File for what ran where and when in the first repetition; chrome://tracing and Perfetto show it."
        ),
    ] = None,
    slo: SloMs = None,
    budget: Budget = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Try a plan under load in the simulator: attainment, latency, goodput, joules, each with a 95 % interval.

    The scheduler that decides is the one that serves. With several policies, all see the same requests.

    ```
    heterosis simulate ocr.py --rate 2
    heterosis simulate ocr.py --plan plan.json --rate 5 --policy heterosis --policy fcfs --arrivals bursts
    heterosis simulate graph.json --plan plan.json --fleet fleet.json --bias 1.15 --trace-out occupancy.json
    ```
    """
    from heterosis.workflow.loads import is_trace, moments
    from heterosis.workflow.service import with_policy
    from heterosis.workflow.trial import Trial

    _check(rate, requests, duration, seeds, bias)
    graph, chosen, devices = _open(file, plan, fleet, rate=rate, slo=slo, budget=budget, store=store)
    offered = rate if rate is not None or is_trace(arrivals) else chosen.rate_rps
    drawn = moments(arrivals, offered, requests, duration)
    trial = Trial(graph=graph, moments=drawn, seeds=seeds, bias=bias, fleet=devices)
    plans = {name: with_policy(chosen, name) for name in policy or [chosen.policy]}
    with (
        interruptible("the simulation was cut short and nothing of it is kept"),
        progress(f"Simulating {chosen.pipeline}", total=len(plans) * seeds) as step,
    ):
        found: dict[str, dict[str, Interval]] = {}
        for name, each in plans.items():
            path = None if trace_out is None else _trace_path(trace_out, name, alone=len(plans) == 1)
            found[name] = trial.run(each, trace_out=path, step=partial(step, name))
            if path is not None:
                remark(f"wrote {path}")
    if json:
        print_json(
            {
                "pipeline": chosen.pipeline,
                "rate_rps": offered,
                "arrivals": arrivals,
                "bias": bias,
                "seeds": seeds,
                "policies": found,
            }
        )
    else:
        rate_said = "its own rate" if offered is None else f"{offered:g}/s"
        output().print(
            f"{chosen.pipeline} at {rate_said}, {arrivals}, {seeds} repetitions, bias {bias:g}: mean and 95 % interval",
            markup=False,
        )
        show(found)


def _check(rate: float | None, requests: int | None, duration: float | None, seeds: int, bias: float) -> None:
    if requests is not None and duration is not None:
        raise UsageError("say how long the load is either by --requests or by --duration, not by both")
    for name, value in {"rate": rate, "requests": requests, "duration": duration, "seeds": seeds, "bias": bias}.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"--{name} must be above zero, got {value:g}")


def _open(
    file: str,
    plan: Path | None,
    fleet: Path | None,
    *,
    rate: float | None,
    slo: float | None,
    budget: float | None,
    store: Path,
) -> tuple["PipelineGraph", "Plan", "Fleet | None"]:
    """Read or make the pipeline's graph, the plan, and the fleet, where it is known."""
    from heterosis.cli.files import read_json
    from heterosis.cli.workflows import open_workflow
    from heterosis.terms import Fleet, PipelineGraph, Plan
    from heterosis.workflow.served import weighted

    known = None if plan is None else read_json(plan, Plan, "plan", "heterosis plan FILE --json")
    devices = None if fleet is None else read_json(fleet, Fleet, "fleet", "heterosis devices --json")
    if file.endswith(".json"):
        graph = read_json(Path(file), PipelineGraph, "traced graph")
        if known is None:
            raise UsageError("a traced graph can only be simulated with a plan: say --plan PLAN.json")
    else:
        with open_workflow(file, store, slo=slo, budget=budget) as workflow:
            known = known or workflow.plan(1.0 if rate is None else rate)
            graph = weighted(workflow.trace.graph, known.overhead)
            devices = devices or _local(workflow.fleet, known)
    planned = {placement.configuration.stage for placement in known.placements}
    if known.pipeline != graph.pipeline or not set(graph.stages) <= planned:
        raise UsageError(
            f"the plan is for pipeline {known.pipeline!r} with the stages {sorted(planned)}, but {file} has "
            f"{graph.pipeline!r} with {sorted(graph.stages)}"
        )
    return graph, known, devices


def _local(fleet: "Fleet", plan: "Plan") -> "Fleet | None":
    """This machine's devices, where the plan is for them."""
    here = {(node.name, device.name) for node in fleet.nodes for device in node.devices}
    return fleet if {(each.node, each.device) for each in plan.placements} <= here else None


def _trace_path(path: Path, policy: str, *, alone: bool) -> Path:
    return path if alone else path.with_stem(f"{path.stem}-{policy.replace(':', '-')}")


ROWS: Sequence[tuple[str, str, float]] = (
    ("requests", "requests", 1),
    ("attainment, %", "attainment", 100),
    ("excess over all, ms", "excess_ms", 1),
    ("excess of late ones, ms", "excess_of_late_ms", 1),
    ("latency of answers p50, ms", "latency_ms.p50", 1),
    ("p99, ms", "latency_ms.p99", 1),
    ("waiting, ms", "waiting_ms.mean", 1),
    ("goodput, /s", "goodput_rps", 1),
    ("dropped: overload", "drops.overload", 1),
    ("dropped: late", "drops.late", 1),
    ("dropped: unavailable", "drops.unavailable", 1),
    ("dropped: poison", "drops.poison", 1),
    ("energy, J", "energy.total.joules", 1),
    ("idle, J", "energy.idle.joules", 1),
    ("dynamic, J", "energy.dynamic.joules", 1),
    ("of that wasted, J", "energy.wasted.joules", 1),
    ("energy per answer in time, J", "energy.per_answer.joules", 1),
    ("decision, us", "decision_us.mean", 1),
)
"""What people are shown: title, figure, factor."""


def show(found: Mapping[str, Mapping[str, "Interval"]]) -> None:
    """Print a table for people: a row for each figure (kinds of drops only if they occurred), a column each policy."""
    from rich.table import Table

    table = Table("", *found, box=None, pad_edge=False)
    for title, figure, factor in ROWS:
        shown = [intervals.get(figure) for intervals in found.values()]
        if not figure.startswith("drops.") or any(each is not None and each.mean for each in shown):
            table.add_row(title, *(_said(each, factor, figure) for each in shown))
    output().print(table)


def _said(interval: "Interval | None", factor: float, figure: str) -> str:
    if interval is None:
        return "unknown" if figure.startswith("energy") else "-"
    spread = "" if interval.high is None else f" ± {(interval.high - interval.mean) * factor:.2g}"
    return f"{interval.mean * factor:.4g}{spread}"
