"""Reads the JSON files that verbs write with `--json` and take again."""

from pathlib import Path
from typing import TypeVar

import msgspec

from heterosis.terms.errors import UsageError

T = TypeVar("T")


def read_json(path: Path, kind: type[T], what: str, made_by: str | None = None) -> T:
    """Read what a verb wrote. Raise UsageError, naming the verb, where the file is missing or something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error}") from None
    except msgspec.MsgspecError as error:
        advice = f"; write one with `{made_by} > {path}`" if made_by else ""
        raise UsageError(f"{path} is no {what} ({error}){advice}") from None
