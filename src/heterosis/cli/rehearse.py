"""`heterosis rehearse`: the live server on devices that are not here."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, print_json, progress
from heterosis.cli.options import Json, LoopOptions

if TYPE_CHECKING:
    from heterosis.workflow.rehearsal.running import Reading, Rehearsed


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RehearsalLoop(LoopOptions):
    """A rehearsal is short: so are the times that its loop goes by."""

    every: Annotated[float, Parameter(help="Seconds from one plan to the next, where nothing asks for one sooner.")] = (
        10.0
    )
    horizon: Annotated[float, Parameter(help="Seconds in which a change must save the joules that it costs.")] = 60.0


REHEARSAL_LOOP = RehearsalLoop()


def rehearse(  # noqa: PLR0913 - one for each option
    pipelines: Annotated[str, Parameter(help="Published pipelines, A+B; `heterosis catalogue` lists them.")],
    /,
    *,
    fleet: Annotated[str, Parameter(help="The fleet to emulate: one of the catalogue's, or a TOML file.")],
    trace: Annotated[
        Path | None, Parameter(help="Arrivals of each pipeline from a CSV or JSON file, stretched to the rate.")
    ] = None,
    arrivals: Annotated[
        str,
        Parameter(
            help="Without --trace: poisson, bursts, diurnal (a day in the run), surges (a day with a flash crowd)."
        ),
    ] = "bursts",
    rate: Annotated[float, Parameter(help="Mean requests per second of each pipeline.")] = 10.0,
    duration: Annotated[float, Parameter(help="Seconds that the load lasts.")] = 300.0,
    speed: Annotated[float, Parameter(help="Play the arrivals so many times as fast; devices keep theirs.")] = 1.0,
    static: Annotated[
        bool,
        Parameter(negative=(), show_default=False, help="Serve the plan for the mean rate; do not adapt."),
    ] = False,
    slow: Annotated[
        list[str] | None, Parameter(negative=(), help="NODE/DEVICE=FACTOR@SECONDS: slow a device down, from then on.")
    ] = None,
    kill: Annotated[
        list[str] | None,
        Parameter(negative=(), help="NODE@SECONDS+SECONDS: kill a node's every worker, for so long (1 s)."),
    ] = None,
    loop: RehearsalLoop = REHEARSAL_LOOP,
    seed: Annotated[int, Parameter(help="Decides arrivals and run times.")] = 0,
    json: Json = False,
) -> None:
    """Serve published pipelines on emulated devices, to real clients, and compare with what was foretold.

    The server is the real one: HTTP, gateway, scheduler, transport, the loop. Only devices are emulated: they sleep as
    long as published figures say. Beside the live figures stand those of the planner, of the simulator under the very
    same arrivals, and of a plan made for the peak that nothing changes. Joules are modelled.

    ```
    heterosis rehearse traffic+documents --fleet edge-street --rate 15 --arrivals surges
    heterosis rehearse traffic --fleet edge-rack --rate 10 --slow orin-nx-1/orin-nx-1=2@120
    heterosis rehearse traffic --fleet edge-rack --trace day.csv --speed 60 --kill orin-nx-1@30 --json
    ```
    """
    from heterosis.cli.plan_fleet import open_fleet_of
    from heterosis.terms.errors import UsageError
    from heterosis.workflow.loads import moments
    from heterosis.workflow.rehearsal.faults import kill_fault, slow_fault
    from heterosis.workflow.rehearsal.running import Load
    from heterosis.workflow.rehearsal.running import rehearse as run
    from heterosis.workflow.rehearsal.setting import published
    from heterosis.workflow.subserver import serving

    for name, value in {"rate": rate, "duration": duration, "speed": speed}.items():
        if not 0 < value < float("inf"):
            raise UsageError(f"--{name} must be above zero, got {value:g}")
    devices = open_fleet_of(fleet)
    workloads = published(pipelines, devices, rate)
    draw = moments(str(trace or arrivals), rate / speed, None, duration * speed)
    drawn = {each.graph.pipeline: [at / speed for at in draw(seed + number)] for number, each in enumerate(workloads)}
    if not all(drawn.values()):
        raise UsageError("nothing arrives in so short a time; take a longer --duration or a higher --rate")
    faults = [fault for text in slow or () for fault in slow_fault(text, devices)]
    faults += [fault for text in kill or () for fault in kill_fault(text, devices)]
    load = Load(moments=drawn, duration_s=duration, seed=seed, faults=tuple(faults))
    options = ["--fleet", fleet, "--rate", f"{rate}"]
    options += ["--every", f"{loop.every}", "--horizon", f"{loop.horizon}", "--period", f"{loop.period}"]
    options += [] if static else ["--adapt"]
    with interruptible("the rehearsal was cut short and nothing of it is kept"), progress("Rehearsing") as step:
        found = run(
            workloads,
            devices,
            load,
            loop.settings(),
            lambda folder: serving(pipelines, [*options, "--store", str(folder)]),
            read,
            step,
        )
    if json:
        print_json(found)
    else:
        show(found, pipelines, fleet)


def read(url: str) -> "Reading":
    """Ask a server what it has spent and decided."""
    from heterosis.cli.status import fetch
    from heterosis.workflow.rehearsal.running import Reading

    status = fetch(url)
    return Reading(
        joules=sum(each.joules or 0.0 for each in status.energy.values()),
        uptime_s=status.uptime_s,
        changes=status.changes,
        longest_stall_ms=status.longest_stall_ms,
        longest_own_stall_ms=status.longest_own_stall_ms,
        decisions=tuple((each.ago_s, f"{each.what}: {each.reason}") for each in status.decisions),
    )


ROWS = (
    ("in time, %", "attainment", 100),
    ("p50, ms", "p50_ms", 1),
    ("p99, ms", "p99_ms", 1),
    ("goodput, /s", "goodput_rps", 1),
    ("energy, J", "joules", 1),
    ("J per answer in time", "joules_per_answer", 1),
)


def show(found: "Rehearsed", pipelines: str, fleet: str) -> None:
    """Print the figures side by side."""
    from rich.table import Table

    output().print(
        f"{pipelines} on {fleet} ({found.devices} emulated devices), {found.requests} requests in "
        f"{found.duration_s:g} s; joules are modelled",
        markup=False,
    )
    table = Table("", box=None, pad_edge=False)
    columns = {
        "predicted": found.predicted,
        "simulated": found.simulated,
        "live": found.live,
        "plan for the peak, simulated": found.static,
    }
    for name in (*columns, "live / simulated", "live / peak plan"):
        table.add_column(name, justify="right")
    for title, figure, factor in ROWS:
        values = {name: getattr(each, figure) for name, each in columns.items()}
        ratios = [values["live"] / other if (other := values[name]) else float("nan") for name in list(values)[1::2]]
        table.add_row(
            title, *(f"{factor * value:.4g}" for value in values.values()), *(f"{each:.3f}" for each in ratios)
        )
    output().print(table)
    changes = f"{found.live.changes} changes of plan live, {found.simulated.changes} simulated"
    stall = "" if found.longest_stall_ms is None else f"; the event loop held up for {found.longest_stall_ms:.0f} ms"
    if found.longest_own_stall_ms is not None:
        stall += f", {found.longest_own_stall_ms:.0f} ms by the server itself"
    output().print(
        f"{changes}; {found.lost} requests lost{stall}; the load generator was late by {found.lag_p99_ms:.1f} ms "
        f"(p99); the server itself adds {found.overhead_ms:.1f} ms to a request, simulated as well",
        markup=False,
    )
