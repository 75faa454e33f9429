"""`heterosis study`: a published experiment, reproduced."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, progress, remark
from heterosis.studies.study import Options, StudyName, open_study
from heterosis.terms.errors import UsageError


def study(  # noqa: PLR0913 - one for each option
    name: Annotated[StudyName, Parameter(help="Which one.")],
    /,
    *,
    data: Annotated[
        Path | None, Parameter(help="Folder of the published data; without it, figures fitted to that are used.")
    ] = None,
    policies: Annotated[
        str | None, Parameter(help="Policies to compare, with commas between them, instead of the study's own list.")
    ] = None,
    planners: Annotated[
        str | None, Parameter(help="Likewise the planners, in the studies that compare those: loki, energy.")
    ] = None,
    seeds: Annotated[int | None, Parameter(help="Repetitions of each run, instead of the study's own number.")] = None,
    jobs: Annotated[int, Parameter(help="Processes that run at a time; 0 for one a core.")] = 0,
    keep: Annotated[
        Path | None, Parameter(help="Folder to keep finished parts in: the same command goes on there.")
    ] = None,
    json: Annotated[Path | None, Parameter(name="--json", help="File to write all figures to, as JSON.")] = None,
    figures: Annotated[Path | None, Parameter(help="Folder to draw the study's figures into.")] = None,
) -> None:
    """Run a published experiment in the simulator, with every policy on the same machines and requests.

    kairos: queries per second that a pool serves within a p99 (HPDC'23). slo-mael: violations on one board's
    processors (TACO'21). synergai: edge to cloud, with the choice of configurations (TECS'25).
    pool: which machines to rent with a budget (HPDC'23). loki: a traffic pipeline with accuracy as a knob (HPDC'24).
    slack: power modes by staged slack against governors. energy: a day on a rack of edge devices, at least joules.

    ```
    heterosis study kairos --json kairos.json --figures figures
    heterosis study slo-mael --policies heterosis,slo_mael:as-published --seeds 3
    heterosis study energy --seeds 3 --keep energy-parts
    ```
    """
    options = Options(
        data=data,
        policies=_checked(policies),
        planners=_names("--planners", planners),
        jobs=_positive("--jobs", jobs, least=0),
        keep=keep,
    )
    if seeds is not None:
        options = msgspec.structs.replace(options, seeds=_positive("--seeds", seeds, least=1))
    _make_folder(figures)
    _make_folder(json and json.parent)
    _make_folder(keep)
    chosen = open_study(name)
    rest = f"its finished parts are in {keep}" if keep else "nothing is kept of this one, as without --keep"
    with (
        interruptible(f"a study is written down when all of it has run; {rest}"),
        progress(f"Study {name}") as step,
    ):
        rows = chosen.run(options, step)
    show(rows)
    if json is not None:
        encoded = msgspec.json.encode({"study": name, "rows": rows})
        json.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
        remark(f"wrote {json}")
    if figures is not None:
        for path in chosen.draw(rows, figures):
            remark(f"drew {path}")


def show(rows: Sequence[Any]) -> None:
    """Print the rows of a study as one table; what has a structure of its own is left to the JSON."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    flat = [dict(_cells(row)) for row in rows]
    names = list(dict.fromkeys(name for cells in flat for name in cells))
    for column in names:
        numeric = any(isinstance(cells.get(column), int | float) for cells in flat)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for cells in flat:
        table.add_row(*(_text(cells.get(column)) for column in names))
    output().print(table)


def _cells(row: Any) -> Iterator[tuple[str, Any]]:
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, msgspec.Struct):
            yield from ((f"{name}: {inner}", each) for inner, each in _cells(value))
        elif isinstance(value, tuple | list):
            yield name, ",".join(map(str, value))
        elif not isinstance(value, dict):
            yield name, value


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool | int | str):
        return str(value)
    return f"{value:.4g}"


def _checked(policies: str | None) -> tuple[str, ...]:
    from heterosis.scheduling.policies import make_policy

    names = _names("--policies", policies)
    for name in names:
        make_policy(name)
    return names


def _names(option: str, given: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (given or "").split(",") if name.strip())
    if given is not None and not names:
        raise UsageError(f"{option} names none: give names with commas between them")
    return names


def _positive(option: str, value: int, *, least: int) -> int:
    if value < least:
        raise UsageError(f"{option} is at least {least}, got {value}")
    return value


def _make_folder(folder: Path | None) -> None:
    """Make a folder before the study runs, so that its figures are not lost for want of one."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}") from None
