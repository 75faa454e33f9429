"""`heterosis profile merge` and `import`: profiles from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter

from heterosis.cli.console import print_json, remark
from heterosis.cli.files import read_json
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.terms import Profile

Out = Annotated[Path | None, Parameter(name=["--out", "-o"], help="File to write to, instead of standard output.")]


def merge(
    *profiles: Annotated[Path, Parameter(help="Profiles of one pipeline, as `heterosis profile --json` wrote them.")],
    out: Out = None,
) -> None:
    """Put the profiles of several machines together, so that a fleet of them can be planned for.

    Where several have the same point, the one that was measured last counts.

    ```
    heterosis profile merge server.json jetson.json -o rack.json
    heterosis plan ocr.py --profile rack.json --fleet rack.toml --rate 20
    ```
    """
    from heterosis.profiling.merging import merge as merged
    from heterosis.terms import Profile

    if not profiles:
        raise UsageError("say which profiles to merge")
    _write(merged([read_json(path, Profile, "profile", "heterosis profile FILE --json") for path in profiles]), out)


def import_table(
    table: Annotated[Path, Parameter(help="A CSV file, or a JSON array of objects: a row for each operating point.")],
    /,
    *,
    pipeline: Annotated[str, Parameter(help="Name of the pipeline that the profile is to be of.")],
    source: Annotated[str, Parameter(help="Who published it, and where: it stands by every figure.")],
    column: Annotated[
        list[str] | None,
        Parameter(negative=(), help="OURS=THEIRS: what a column of ours is called there. Can be given several times."),
    ] = None,
    value: Annotated[
        list[str] | None,
        Parameter(
            negative=(), help="OURS=VALUE: what all rows share, such as stage=detect. Can be given several times."
        ),
    ] = None,
    quality: Annotated[
        Literal["counter", "sampled", "modelled"], Parameter(help="How the joules of the table were had.")
    ] = "modelled",
    out: Out = None,
) -> None:
    r"""Read published figures as a profile.

    Our columns: stage, variant, device_type, power_mode, threads, batch, mean_ms, p50_ms, p95_ms, p99_ms, std_ms,
    cpu_ms, joules (of a batch, above idle), load_ms, memory_mb. Needed are the first three and a mean or a median.

    ```
    heterosis profile import kairos.csv --pipeline recommend --source "KAIROS, HPDC 2023" --column variant=model \
        --column device_type=instance --column p50_ms=total_p50_ms --column p99_ms=total_p99_ms --value stage=rank
    ```
    """
    from heterosis.profiling.importing import read_table
    from heterosis.terms import Quality

    profile = read_table(
        table,
        pipeline,
        columns=_pairs("--column", column or ()),
        constants=_pairs("--value", value or ()),
        source=source,
        quality=Quality(quality),
    )
    _write(profile, out)


import_table.__name__ = "import"


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{option} takes NAME=SOMETHING, got {text!r}")
        pairs[name] = value
    return pairs


def _write(profile: "Profile", out: Path | None) -> None:
    if out is None:
        print_json(profile)
        return
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(profile)) + b"\n")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    remark(f"written: {out}, {len(profile.points)} points")
