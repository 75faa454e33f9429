"""`heterosis profile`: what every configuration costs on this machine."""

from typing import TYPE_CHECKING

from heterosis.cli.console import output, print_json
from heterosis.cli.options import DEFAULT_STORE, Budget, Json, PipelineFile, Store
from heterosis.cli.workflows import open_workflow

if TYPE_CHECKING:
    from heterosis.terms import OperatingPoint, Profile


def profile(file: PipelineFile, /, *, budget: Budget = None, store: Store = DEFAULT_STORE, json: Json = False) -> None:
    """Measure every variant on this machine: latency, CPU time, energy and memory by threads and batch size.

    Each configuration runs in a process of its own, on the real inputs that its stage got from the samples. What the
    store knows is not measured again, and each point is stored as soon as it is measured.

    ```
    heterosis profile ocr.py
    heterosis profile ocr.py --budget 600 --json
    ```
    """
    with open_workflow(file, store, budget=budget) as workflow:
        found = workflow.profile
    if json:
        print_json(found)
    else:
        show(found)


def show(found: "Profile") -> None:
    """Print a profile for people."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("variant")
    for name in ("threads", "batch", "mean ms", "p99 ms", "items/s", "CPU ms/item", "J/item", "memory MB"):
        table.add_column(name, justify="right")
    for point in found.points:
        table.add_row(point.configuration.stage, point.configuration.variant, *_figures(point))
    console = output()
    console.print(f"{found.pipeline} on {found.machine}, {found.measured_at}", markup=False)
    console.print()
    console.print(table)
    qualities = sorted({point.dynamic_energy.quality.value for point in found.points})
    console.print(f"\nJ/item is dynamic energy, without the device's idle power; its quality: {', '.join(qualities)}")
    for exclusion in found.excluded:
        console.print(f"left out: {exclusion.stage} {exclusion.name}: {exclusion.reason}", style="dim", markup=False)


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
