"""`heterosis variants`: what each model can run as, what that costs, and what it loses."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json, remark
from heterosis.cli.options import DEFAULT_STORE, Json, PipelineFile, Store
from heterosis.cli.workflows import open_workflow
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.terms import Exclusion, VariantSet
    from heterosis.variants.comparison import Comparison, Row


def variants(
    file: PipelineFile,
    /,
    *,
    measure: Annotated[
        bool, Parameter(help="Measure each variant, too: one item at a time, on one thread, for about two seconds.")
    ] = True,
    figure: Annotated[
        Path | None,
        Parameter(help="Draw time against accuracy, and the Pareto set, to this file; its suffix decides the format."),
    ] = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Make the variants of every stage's models, by engine and precision; judge their accuracy, and measure them.

    Accuracy is the pipeline's on its samples, with the variant in its stage and the reference in every other; its
    intervals are of 95 % confidence. Variants that no other of their stage beats in time, joules and accuracy are
    marked with a star.

    ```
    heterosis variants ocr.py
    heterosis variants ocr.py --figure ocr.svg
    heterosis variants ocr.py --no-measure --json
    ```
    """
    if figure is not None and not measure:
        raise UsageError("a figure shows what was measured: leave out --no-measure")
    with open_workflow(file, store) as workflow:
        found = workflow.variants
        compared = workflow.comparison if measure else None
    if compared is not None and figure is not None:
        _draw(compared, figure)
    if json:
        print_json(_fields(found, compared))
        return
    _show(found, compared)


def _fields(found: "VariantSet", compared: "Comparison | None") -> dict[str, object]:
    import msgspec

    fields = msgspec.structs.asdict(found)
    return fields if compared is None else {**fields, "machine": compared.machine, "rows": compared.rows}


def _draw(compared: "Comparison", path: Path) -> None:
    from heterosis.figures.variants import draw_variants

    try:
        draw_variants(compared, path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot draw to {path}: {error}") from None
    remark(f"drawn to {path}")


def _show(found: "VariantSet", compared: "Comparison | None") -> None:
    """Print variants for people."""
    from rich.table import Table

    from heterosis.variants.comparison import compare

    table = Table(box=None, pad_edge=False)
    for name in ("stage", "variant"):
        table.add_column(name)
    for name in ("size MB", "accuracy", "change", "of 95 %"):
        table.add_column(name, justify="right")
    if compared is not None:
        for name in ("p50 ms", "times as fast", "load ms", "mJ/item", "memory MB", ""):
            table.add_column(name, justify="right")
    table.add_column("and")
    for row in (compared or compare(found, (), "")).rows:
        measured = () if compared is None else _measured(row)
        table.add_row(row.variant.stage, row.variant.name, *_judged(row), *measured, _and(row))
    console = output()
    if compared is not None:
        console.print(f"{compared.pipeline} on {compared.machine}\n", markup=False)
    console.print(table)
    reference = found.reference_accuracy
    console.print(f"\nwith the reference in every stage: {'unknown' if reference is None else f'{reference:.4f}'}")
    if compared is not None:
        qualities = sorted({row.point.dynamic_energy.quality.value for row in compared.rows if row.point is not None})
        console.print(f"joules are dynamic, without the device's idle power; their quality: {', '.join(qualities)}")
    for names, reason in _folded(found.excluded):
        console.print(f"left out: {names}: {reason}", style="dim", markup=False)


def _judged(row: "Row") -> tuple[str, ...]:
    variant, change, interval = row.variant, row.change, row.variant.accuracy_change
    return (
        f"{variant.size_bytes / 1e6:.1f}" if variant.size_bytes else "-",
        "unknown" if variant.accuracy is None else f"{variant.accuracy:.4f}",
        "-" if change is None or interval is None else f"{change:+.4f}",
        "-" if interval is None else f"{interval[0]:+.3f}..{interval[1]:+.3f}",
    )


def _measured(row: "Row") -> tuple[str, ...]:
    point = row.point
    if point is None:
        return ("-",) * 6
    joules = point.energy_per_item.joules
    return (
        f"{point.latency.p50_ms:.2f}",
        "-" if row.speedup is None else f"{row.speedup:.2f}",
        f"{point.load_ms:.0f}",
        "unknown" if joules is None else f"{1e3 * joules:.3g}",
        f"{point.memory_bytes / 1e6:.0f}",
        "*" if row.unbeaten else "",
    )


def _and(row: "Row") -> str:
    scores = ", ".join(f"{name} {value:.3f}" for name, value in row.variant.scores.items())
    return "; ".join(part for part in (row.variant.note, scores) if part)


def _folded(excluded: "Sequence[Exclusion]") -> list[tuple[str, str]]:
    """Say each reason once, with all that it holds for."""
    names: dict[str, list[str]] = defaultdict(list)
    for exclusion in excluded:
        names[exclusion.reason].append(f"{exclusion.stage} {exclusion.name}")
    return [(", ".join(each), reason) for reason, each in names.items()]
