"""What every study is.

A study is a package ``studies/<name>/`` with two functions: ``run(options, step)`` gives its rows, one
`msgspec.Struct` for each cell of its table, and ``draw(rows, folder)`` draws its figures and gives their paths.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import msgspec

Step = Callable[..., None]
"""Tells of progress: ``step(text, done=…, total=…)``, all of them optional; without ``done`` one more step is done."""

StudyName = Literal["kairos", "slo-mael", "synergai", "pool", "slack", "loki", "energy"]
"""The studies there are, by the names that the command line knows them by."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a study."""

    data: Path | None = None
    """Folder of the published data; without it, the figures that are typed into the project are used."""
    policies: tuple[str, ...] = ()
    """The policies to compare; empty for the study's own list."""
    planners: tuple[str, ...] = ()
    """Likewise the planners, in a study that compares those."""
    seeds: int = 10
    """Repetitions of each run."""
    jobs: int = 0
    """Processes that run at a time; 0 for one a core."""
    keep: Path | None = None
    """Folder to keep finished parts in; a study that was interrupted goes on there."""


class Study(Protocol):
    """A study's package, seen from outside."""

    def run(self, options: Options, step: Step) -> Sequence[Any]:
        """Run it; the rows of its table."""
        ...

    def draw(self, rows: Sequence[Any], folder: Path) -> list[Path]:
        """Draw its figures into a folder; their paths."""
        ...


def open_study(name: StudyName) -> Study:
    """Import a study."""
    return cast("Study", import_module(f"heterosis.studies.{name.replace('-', '_')}"))


def silent(text: str = "", *, done: float | None = None, total: float | None = None) -> None:
    """Tell nobody of progress."""
