"""`heterosis pack`: workers that run elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json, progress
from heterosis.cli.files import read_json
from heterosis.cli.options import DEFAULT_STORE, Accuracy, Budget, Json, PipelineFile, Rate, SloMs, Store
from heterosis.cli.workflows import open_workflow
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.terms import Variant
    from heterosis.workflow.chain import Workflow


def pack(  # noqa: PLR0913 - one for each option
    file: PipelineFile,
    /,
    *,
    plan: Annotated[
        Path | None, Parameter(help="Pack what this plan runs, as `heterosis plan --json` wrote it.")
    ] = None,
    rate: Rate = 1.0,
    slo: SloMs = None,
    accuracy: Accuracy = None,
    stage: Annotated[
        list[str] | None, Parameter(negative=(), help="Only this stage; can be given several times.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="Pack this variant (see `heterosis variants`), planned or not; can be repeated.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        Parameter(negative=(), help="What to pack for: cpu (the default), cuda; can be given several times."),
    ] = None,
    threads: Annotated[
        int | None, Parameter(help="Threads of a worker, instead of the plan's number (1 without a plan).")
    ] = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder to write to.")] = Path("packs"),
    budget: Budget = None,
    store: Store = DEFAULT_STORE,
    json: Json = False,
) -> None:
    """Write self-contained folders of workers: one for each variant and target.

    A folder has the model, the stage's code, heterosis itself, pinned requirements, a start script, a Containerfile and
    a manifest with digests. Without a plan or variants, what would be planned for the rate is packed. Start one with
    `./start --join tcp://HOST:PORT --token-file FILE` where `heterosis serve FILE --workers-at tcp://HOST:PORT
    --token-file FILE` runs.

    ```
    heterosis pack ocr.py --plan plan.json -o packs
    heterosis pack ocr.py --variant tiny/openvino-int8 --stage recognise --threads 2
    ```
    """
    from heterosis.packing import pack as write

    with open_workflow(file, store, slo=slo, accuracy=accuracy, budget=budget) as workflow:
        chosen = _chosen(workflow, plan, rate, variant, stage)
        device_type = workflow.fleet.devices[0].type.name
        folders = []
        with progress("Packing", total=len(chosen) * len(target or ["cpu"])) as step:
            for each, planned in chosen:
                for platform_name in target or ["cpu"]:
                    folders.append(
                        write(
                            workflow.pipeline,
                            workflow.target,
                            each,
                            out,
                            platform_name=platform_name,
                            device_type=device_type if platform_name == "cpu" else "",
                            threads=planned if threads is None else threads,
                        )
                    )
                    step(f"{each.stage} {each.name}")
    if json:
        print_json([str(folder) for folder in folders])
        return
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        output().print(f"{folder}: {size / 1e6:.1f} MB", markup=False)


def _chosen(
    workflow: "Workflow", plan: Path | None, rate: float, names: list[str] | None, stages: list[str] | None
) -> "list[tuple[Variant, int]]":
    """Return the variants to pack, each with its number of threads."""
    from heterosis.terms import Plan

    found: list[tuple[Variant, int]]
    if names:
        known = workflow.variants.variants
        missing = [name for name in names if name not in {each.name for each in known}]
        if missing:
            listed = ", ".join(sorted({each.name for each in known}))
            raise UsageError(f"there is no variant {missing[0]!r}; there are: {listed}")
        found = [(each, 1) for each in known if each.name in names]
    else:
        planned = workflow.plan(rate) if plan is None else read_json(plan, Plan, "plan", "heterosis plan FILE --json")
        threads = {placement.configuration: max(1, placement.configuration.threads) for placement in planned.placements}
        found = list(
            {planned.variant(each): (planned.variant(each), number) for each, number in threads.items()}.values()
        )
    kept = [(each, number) for each, number in found if not stages or each.stage in stages]
    if not kept:
        raise UsageError(f"nothing is left to pack of stage {', '.join(stages or ())}")
    return kept
