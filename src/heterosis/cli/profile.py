"""`heterosis profile`: what every configuration costs on this machine."""

import math
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import DEFAULT_STORE, Accuracy, Budget, Json, PipelineFile, SloMs, Store
from heterosis.cli.workflows import open_workflow
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heterosis.profiling import Settings
    from heterosis.profiling.checking import Errors
    from heterosis.terms import ColdStart, Exclusion, OperatingPoint, Profile


def profile(  # noqa: PLR0913 - one for each option
    file: PipelineFile,
    /,
    *,
    rate: Annotated[
        list[float] | None,
        Parameter(
            negative=(),
            help="Requests per second to plan for; can be given several times. By default 1, and the most that this "
            "machine can serve.",
        ),
    ] = None,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    full: Annotated[
        bool,
        Parameter(negative=(), show_default=False, help="Measure the whole grid, not only what could change a plan."),
    ] = False,
    check: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="Say how well the points of the grid are predicted from each other, each in turn left out.",
        ),
    ] = False,
    threads: Annotated[
        str | None,
        Parameter(help="Numbers of threads to try, with commas between them; by default 1 and as many as cores."),
    ] = None,
    batches: Annotated[str | None, Parameter(help="Batch sizes to try, with commas; by default 1,2,4,8,16,32.")] = None,
    modes: Annotated[
        str | None,
        Parameter(
            help="Power modes to try, with commas: those that `heterosis devices` lists, or values between, such as "
            "default,1cpus,1800MHz. By default the mode that the device is in."
        ),
    ] = None,
    budget: Budget = None,
    most_waiting: Annotated[
        float | None,
        Parameter(
            help="Measure anew what waited for its cores for more than this share (0..1) of the time, since other "
            "processes had them."
        ),
    ] = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Measure variants on this machine: latency, CPU time, energy, memory and starts by threads and batch size.

    First a coarse grid; then what could change the plan, as far as a model of what was not measured can tell. Each
    configuration runs in a process of its own, on the real inputs that its stage got from the samples. What the store
    knows is not measured again, and each point is stored as soon as it is measured.

    ```
    heterosis profile ocr.py
    heterosis profile ocr.py --rate 2 --rate 5 --budget 600 --json > profile.json
    heterosis profile ocr.py --full --check --threads 1,2,4 --budget 3600
    ```
    """
    rates = rate or []
    if not all(0 < each < float("inf") for each in rates):
        raise UsageError(f"--rate must be a positive number of requests per second, got {', '.join(map(str, rates))}")
    settings = _settings(threads, batches, modes, most_waiting)
    budget = math.inf if budget is None and full else budget
    with open_workflow(file, store, budget, slo=slo, accuracy=accuracy, settings=settings) as workflow:
        found = workflow.profile(rates or [1.0], capacity=not rates, full=full)
    if check:
        from heterosis.profiling.checking import check as check_points
        from heterosis.profiling.checking import summary

        held = check_points(found.points)
        if json:
            print_json({"summary": summary(held), "points": held})
        else:
            _show_check(summary(held))
    elif json:
        print_json(found)
    else:
        show(found)


def _show_check(errors: "Sequence[Errors]") -> None:
    """Print how far off predictions were."""
    from rich.table import Table

    if not errors:
        raise UsageError(
            "there is nothing to check with: measure more batch sizes and threads, for example with --full"
        )
    table = Table("left out", box=None, pad_edge=False)
    for name in ("points", "p50 off by", "p95 off by", "in the 95 % interval"):
        table.add_column(name, justify="right")
    for each in errors:
        table.add_row(
            each.held_out, str(each.points), f"{each.p50_error:.1%}", f"{each.p95_error:.1%}", f"{each.within:.0%}"
        )
    output().print(table)
    output().print(
        "\nmedians over the points; a batch size between others was predicted from all other points of its stage, a "
        "number of threads without any point that its variant has with so many"
    )


def _settings(threads: str | None, batches: str | None, modes: str | None, most_waiting: float | None) -> "Settings":
    from heterosis.profiling import Settings

    if most_waiting is not None and not 0 <= most_waiting <= 1:
        raise UsageError(f"--most-waiting is a share between 0 and 1, got {most_waiting:g}")
    return Settings(
        threads=None if threads is None else _numbers("--threads", threads, least=0),
        batches=Settings().batches if batches is None else _numbers("--batches", batches, least=1),
        modes=Settings().modes if modes is None else tuple(modes.split(",")),
        most_waiting=Settings().most_waiting if most_waiting is None else most_waiting,
    )


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UsageError(f"{option} takes whole numbers with commas between them, got {text!r}") from None
    if numbers[0] < least:
        raise UsageError(f"{option}: {numbers[0]} is too few, the least is {least}")
    return numbers


def show(found: "Profile") -> None:
    """Print a profile for people."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("variant")
    in_modes = len({point.configuration.power_mode for point in found.points}) > 1
    if in_modes:
        table.add_column("mode")
    for name in ("threads", "batch", "mean ms", "p99 ms", "items/s", "CPU ms/item", "J/item", "memory MB"):
        table.add_column(name, justify="right")
    for point in found.points:
        mode = [point.configuration.power_mode] if in_modes else []
        table.add_row(point.configuration.stage, point.configuration.variant, *mode, *_figures(point))
    console = output()
    console.print(f"{found.pipeline} on {found.machine}, {found.measured_at}", markup=False)
    console.print()
    console.print(table)
    qualities = sorted({point.dynamic_energy.quality.value for point in found.points})
    console.print(f"\nJ/item is dynamic energy, without the device's idle power; its quality: {', '.join(qualities)}")
    _show_starts(found.cold_starts)
    for reason, names in by_reason(found.excluded).items():
        some = names[0] if len(names) == 1 else f"{len(names)} configurations, among them {names[0]}"
        console.print(f"left out: {some}: {reason}", style="dim", markup=False)


def by_reason(excluded: "Iterable[Exclusion]") -> dict[str, list[str]]:
    """Group what was left out: what was not measured for one reason is told in one line."""
    found: dict[str, list[str]] = {}
    for exclusion in excluded:
        _, _, why = exclusion.reason.rpartition("not measured: ")
        found.setdefault(why, []).append(f"{exclusion.stage} {exclusion.name}")
    return found


def _show_starts(starts: "Iterable[ColdStart]") -> None:
    """Print what it takes to start instances."""
    from rich.table import Table

    table = Table("stage", "variant", box=None, pad_edge=False)
    for name in ("threads", "process ms", "load ms", "first ms", "CPU ms", "J", "memory MB"):
        table.add_column(name, justify="right")
    for start in starts:
        joules = start.energy.joules
        table.add_row(
            start.configuration.stage,
            start.configuration.variant,
            str(start.configuration.threads or "all"),
            f"{start.start_ms:.0f}",
            f"{start.load_ms:.0f}",
            f"{start.first_ms:.0f}",
            f"{start.cpu_ms:.0f}",
            "unknown" if joules is None else f"{joules:.3g}",
            f"{start.memory_bytes / 1e6:.0f}",
        )
    output().print("\nStarts: until the process runs, until the session is loaded, and the first item")
    output().print(table)


def _figures(point: "OperatingPoint") -> tuple[str, ...]:
    joules = point.energy_per_item.joules
    return (
        str(point.configuration.threads or "all"),
        str(point.batch),
        f"{point.latency.mean_ms:.1f}",
        f"{point.latency.p99_ms:.1f}",
        f"{point.throughput_per_s:.1f}",
        f"{point.cpu_ms / point.batch:.1f}",
        "unknown" if joules is None else f"{joules:.3g}",
        f"{point.memory_bytes / 1e6:.0f}",
    )
