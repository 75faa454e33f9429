"""`heterosis variants`: what each model can run as."""

from typing import TYPE_CHECKING

from heterosis.cli.console import output, print_json
from heterosis.cli.options import DEFAULT_STORE, Json, PipelineFile, Store
from heterosis.cli.workflows import open_workflow

if TYPE_CHECKING:
    from heterosis.terms import VariantSet


def variants(file: PipelineFile, /, *, store: Store = DEFAULT_STORE, json: Json = False) -> None:
    """Make the variants of every stage's models, by engine and precision, and judge their accuracy.

    Accuracy is the pipeline's on its samples, with the variant in its stage and the reference in every other.

    ```
    heterosis variants ocr.py
    heterosis variants ocr.py --store /tmp/store --json
    ```
    """
    with open_workflow(file, store) as workflow:
        found = workflow.variants
    if json:
        print_json(found)
    else:
        show(found)


def show(found: "VariantSet") -> None:
    """Print variants for people."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("stage", "variant", "engine", "precision"):
        table.add_column(name)
    for name in ("accuracy", "size MB"):
        table.add_column(name, justify="right")
    for variant in found.variants:
        table.add_row(
            variant.stage,
            variant.name,
            variant.engine,
            variant.precision,
            "unknown" if variant.accuracy is None else f"{variant.accuracy:.4f}",
            f"{variant.size_bytes / 1e6:.1f}" if variant.size_bytes else "-",
        )
    console = output()
    console.print(table)
    reference = found.reference_accuracy
    console.print(f"\nwith the reference in every stage: {'unknown' if reference is None else f'{reference:.4f}'}")
    for exclusion in found.excluded:
        console.print(f"left out: {exclusion.stage} {exclusion.name}: {exclusion.reason}", style="dim", markup=False)
