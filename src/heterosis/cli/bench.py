"""`heterosis bench`: load, and how the server did."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, print_json, progress, remark
from heterosis.cli.options import DEFAULT_STORE, Accuracy, Json, Naive, SloMs, Store

if TYPE_CHECKING:
    from heterosis.bench import Outcome, Report
    from heterosis.terms import Energy


def bench(  # noqa: PLR0913 - one for each option
    target: Annotated[str, Parameter(help="The URL of a server, or a pipeline file, which is then served here.")],
    /,
    *,
    pipeline: Annotated[
        str | None, Parameter(help="With a URL: the pipeline file whose samples are sent and whose truth is known.")
    ] = None,
    rate: Annotated[float | None, Parameter(help="Requests per second; with --trace, stretch it to this rate.")] = None,
    duration: Annotated[float, Parameter(help="Seconds of load (not with --trace).")] = 30.0,
    trace: Annotated[
        Path | None, Parameter(help="Arrivals from a CSV or JSON file with timestamp_s or gap_s (or _ms, _us, _ns).")
    ] = None,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    grpc: Annotated[
        str | None,
        Parameter(help="With a URL: send the samples over gRPC to this host:port; the URL is asked for metrics."),
    ] = None,
    timeout: Annotated[
        float | None, Parameter(help="Milliseconds after which an answer is of no use; rides on each request.")
    ] = None,
    seed: Annotated[int, Parameter(help="Decides the arrivals and the order of the samples.")] = 0,
    naive: Naive = False,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Offer load to a server and report attainment, latency, accuracy and cost.

    Requests are sent when they are due, whatever the server does, and latency counts from when they were due.
    A pipeline file is planned for the rate and served by a process of its own while the load lasts.

    ```
    heterosis bench http://127.0.0.1:8000 --pipeline ocr.py --rate 2
    heterosis bench http://127.0.0.1:8000 --grpc 127.0.0.1:8001 --pipeline ocr.py --rate 2
    heterosis bench ocr.py --rate 2 --duration 60 --json
    heterosis bench ocr.py --trace arrivals.csv
    ```
    """
    import asyncio

    from heterosis.arrivals import poisson, read_trace, rescaled
    from heterosis.bench import Load, run_load
    from heterosis.terms.errors import UsageError
    from heterosis.workflow.blame import load
    from heterosis.workflow.goals import goal
    from heterosis.workflow.subserver import serving

    at_url = "://" in target
    if grpc is not None and not at_url:
        raise UsageError("--grpc goes with the URL of a server that runs; start one with heterosis serve")
    if at_url and pipeline is None:
        raise UsageError("with the URL of a server, say --pipeline FILE: its samples are what is sent")
    if trace is not None:
        arrivals = read_trace(trace)
        arrivals = rescaled(arrivals, rate) if rate is not None else arrivals
        duration = arrivals[-1]
    elif rate is not None:
        arrivals = poisson(rate, duration, seed)
    else:
        raise UsageError("say how much load: --rate R, or --trace FILE")
    offered = Load(arrivals=tuple(arrivals), duration_s=duration, seed=seed, timeout_ms=timeout)
    loaded = load(pipeline if at_url and pipeline is not None else target)
    wanted = goal(loaded.slo, latency_ms=slo, min_accuracy=accuracy)
    planned_rps = rate if rate is not None else offered.rate_rps
    options = ["--rate", str(planned_rps), "--store", str(store), *(["--naive"] if naive else [])]
    options += [] if slo is None else ["--slo", str(slo)]
    options += [] if accuracy is None else ["--accuracy", str(accuracy)]
    with (
        interruptible("the load was cut short and nothing of it is kept"),
        nullcontext(target) if at_url else serving(target, options) as url,
        progress(f"Offering load to {url}", total=len(arrivals)) as step,
    ):
        failed = 0

        def count(outcome: "Outcome") -> None:
            nonlocal failed
            failed += not outcome.answered
            step(f"{failed} failed" if failed else "")

        report = asyncio.run(run_load(url, loaded, offered, slo=wanted, grpc=grpc, progress=count))
    if json:
        print_json(report)
    else:
        show(report)
    for warning in report.warnings:
        remark(f"warning: {warning}")


def show(report: "Report") -> None:
    """Print a report for people."""
    from rich.markup import escape
    from rich.table import Table

    slo = report.slo
    low, high = report.attainment_interval
    wanted = f"{slo.percentile:g} % within {slo.latency_ms:g} ms"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("SLO", f"{wanted}: {'met' if report.met else 'NOT met'}")
    table.add_row("attainment", f"{report.attainment:.2%} (95 % interval {low:.2%} to {high:.2%})")
    table.add_row(
        "requests",
        f"{report.requests} offered, {report.answered} answered, {report.in_time} in time, in {report.elapsed_s:.1f} s",
    )
    table.add_row(
        "rate",
        f"{report.offered_rps:.2f}/s offered, {report.answered_rps:.2f}/s answered, goodput {report.goodput_rps:.2f}/s",
    )
    if report.latency is not None:
        latency = report.latency
        table.add_row(
            "latency of answers",
            f"mean {latency.mean_ms:.0f}, p50 {latency.p50_ms:.0f}, p95 {latency.p95_ms:.0f}, "
            f"p99 {latency.p99_ms:.0f}, max {latency.max_ms:.0f} ms",
        )
    if report.excess_ms is not None:
        table.add_row("excess", f"late answers were {report.excess_ms:.0f} ms late on average")
    for failures in report.failures:
        status = f"status {failures.status}" if failures.status else "no answer"
        table.add_row("failed", escape(f"{failures.count} x {status}: {failures.example}"))
    if report.accuracy is None:
        table.add_row("accuracy", "unknown: no sample has a truth")
    else:
        least = f" (at least {slo.min_accuracy:g} wanted)" if slo.min_accuracy is not None else ""
        table.add_row("accuracy", f"{report.accuracy:.4f} over {report.judged} answers{least}")
    dynamic, idle = (_joules(energy) for energy in (report.dynamic_energy_per_answer, report.idle_energy_per_answer))
    table.add_row("energy per answer", f"dynamic {dynamic}; idle {idle}")
    cpu = "unknown" if report.cpu_s_per_answer is None else f"{report.cpu_s_per_answer * 1e3:.0f} ms"
    table.add_row("CPU per answer", cpu)
    table.add_row("generator's lag", f"p50 {report.lag_p50_ms:.1f}, p99 {report.lag_p99_ms:.1f} ms")
    output().print(table)


def _joules(energy: "Energy") -> str:
    return "unknown" if energy.joules is None else f"{energy.joules:.3g} J ({energy.quality.value})"
